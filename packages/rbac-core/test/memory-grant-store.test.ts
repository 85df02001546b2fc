import {
  definePermissions,
  definePolicy,
  memoryGrantStore,
  type GrantChange,
  type GrantChangeListener,
} from '@countersign/rbac-core'
import { expect, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'update'] })
const policy = definePolicy(permissions, {
  roles: { viewer: { permissions: ['document:read'] }, editor: { permissions: ['document:update'] } },
})
const separated = definePolicy(permissions, {
  roles: { viewer: {}, editor: {} },
  separationOfDuty: [{ name: 'x', kind: 'static', roles: ['viewer', 'editor'], atMost: 1 }],
})

test('it gives back what it was given, as plain records', async () => {
  const store = memoryGrantStore({
    policy,
    assignments: {
      ann: ['viewer', { role: 'editor', scope: 'team:7' }],
      root: { roles: [], isSuperuser: true },
      off: { roles: ['viewer'], isActive: false },
    },
  })
  expect(await store.loadSubject('ann')).toEqual({
    version: 1,
    isActive: true,
    isSuperuser: false,
    assignments: [{ role: 'viewer' }, { role: 'editor', scope: 'team:7' }],
  })
  expect(await store.loadSubject('root')).toMatchObject({ isActive: true, isSuperuser: true })
  expect(await store.loadSubject('off')).toMatchObject({ isActive: false, isSuperuser: false })
  expect(await store.loadSubject('nobody')).toBeUndefined()
  expect(await store.loadSubject('__proto__')).toBeUndefined()
  expect(await store.loadPolicy()).toEqual({ ...policy.record, version: 1 })
})

test('each write returns a larger version, which loads and the feed tell too', async () => {
  const store = memoryGrantStore({ policy })
  const heard: GrantChange[] = []
  const states: string[] = []
  const listener: GrantChangeListener = {
    onChange: change => heard.push(change),
    onGap: () => states.push('gap'),
    onState: state => states.push(state),
  }
  const subscription = await store.changes.subscribe(listener)
  expect(store.setSubject('ann', ['viewer'])).toBe(2)
  expect(store.setPolicy(policy)).toBe(3)
  expect(store.deleteSubject('ann')).toBe(4)
  expect(await store.loadVersion()).toBe(4)
  expect(await store.loadSubject('ann')).toBeUndefined()
  expect(heard).toEqual([{ version: 2, subjectId: 'ann' }, { version: 3 }, { version: 4, subjectId: 'ann' }])
  await subscription.close()
  store.setSubject('ann', ['viewer'])
  expect(heard).toHaveLength(3)
  expect(states).toEqual(['connected'])
})

test('a role with an end carries the time that is left, and is gone afterwards', async () => {
  const store = memoryGrantStore({
    policy,
    assignments: {
      ann: [
        { role: 'viewer', expiresInMs: 60_000 },
        { role: 'editor', expiresInMs: 0 },
      ],
    },
  })
  const record = await store.loadSubject('ann')
  expect(record?.assignments).toEqual([{ role: 'viewer', expiresInMs: expect.any(Number) as number }])
  const left = record?.assignments[0]?.expiresInMs ?? 0
  expect(left).toBeGreaterThan(50_000)
  expect(left).toBeLessThanOrEqual(60_000)
})

test('it refuses a role that does not exist, an end that is none, and a new policy that its subjects would break', async () => {
  const store = memoryGrantStore({ policy, assignments: { ann: ['viewer', 'editor'] } })
  expect(() => store.setSubject('bob', ['boss' as never])).toThrow(
    expect.objectContaining({ code: 'UNKNOWN_ROLE', role: 'boss' }),
  )
  expect(() => store.setSubject('bob', [{ role: 'viewer', expiresInMs: NaN }])).toThrow(
    expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'assignments.bob.expiresInMs' }),
  )
  expect(() => store.setPolicy(separated)).toThrow(
    expect.objectContaining({ code: 'SEPARATION_OF_DUTY', subjectId: 'ann' }),
  )
  expect(await store.loadVersion()).toBe(1)
  expect((await store.loadPolicy()).separationOfDuty).toEqual([])
})
