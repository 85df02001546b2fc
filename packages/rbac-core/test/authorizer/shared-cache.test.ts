import { catalogOf, createAuthorizer } from '@countersign/rbac-core'
import { expect, test } from 'vitest'
import { chaosCache, chaosStore } from '../support/chaos.ts'
import { until, waitUntil } from '../support/wait.ts'
import { memoryStore, policy, process } from '../support/world.ts'

test('a subject is loaded from the store once for all processes', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  const one = process({ memory, cache })
  const two = process({ memory, cache })
  expect((await one.authorizer.accessFor('u1')).can('document:update')).toBe(true)
  expect((await two.authorizer.accessFor('u1')).can('document:update')).toBe(true)
  expect(one.store.asked.subject + two.store.asked.subject).toBe(1)
})

test("role names are shared and never bits: two versions of a catalog read each other's entries rightly", async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  const current = process({ memory, cache })
  await current.authorizer.accessFor('u1')
  const next = catalogOf(['user:manage', 'report:read', 'document:update', 'document:read'])
  const store = chaosStore(memory)
  const deployed = createAuthorizer({ permissions: next, store, maxStalenessMs: 60_000, cache })
  const access = await deployed.accessFor('u1')
  expect(next.names.filter(name => access.can(name))).toEqual(['document:update', 'document:read'])
  expect(store.asked.subject).toBe(0)
  expect(JSON.parse([...cache.entries.values()][0]?.json ?? '')).toEqual({
    version: 1,
    isActive: true,
    isSuperuser: false,
    assignments: [{ role: 'editor' }],
  })
  await deployed.close()
})

test.each([
  [3000, 1000],
  [10_000, 3000],
  [30_000, 12_000],
  [60_000, 27_000],
])(
  'of a bound of %i ms the cache gets %i, so that both times together keep the bound',
  async (maxStalenessMs, ttlMs) => {
    const cache = chaosCache()
    const world = process({ cache, maxStalenessMs })
    await world.authorizer.accessFor('u1')
    expect(cache.ttls).toEqual([ttlMs])
  },
)

test('a bound under 3 seconds leaves the cache out', async () => {
  const cache = chaosCache()
  const world = process({ cache, maxStalenessMs: 2999 })
  await world.authorizer.accessFor('u1')
  expect(cache.ttls).toEqual([])
})

test('a record is honoured no longer than the bound after its load, however many processes it went through', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  const maxStalenessMs = 3000
  const first = process({ memory, cache, maxStalenessMs })
  const loadedAt = performance.now()
  await first.authorizer.accessFor('u1')
  memory.setSubject('u1', ['viewer'])
  // Near the end of the second for which the shared record can be read.
  await waitUntil(loadedAt + 700)
  const second = process({ memory, cache, maxStalenessMs })
  const access = await second.authorizer.accessFor('u1')
  expect(access.can('document:update')).toBe(true)
  expect(second.store.asked.subject).toBe(0)
  await until(() => access.stale, maxStalenessMs)
  expect(performance.now() - loadedAt).toBeLessThan(maxStalenessMs)
  expect((await second.authorizer.accessFor('u1')).can('document:update')).toBe(false)
})

test('a record older than a change that the feed told of is refused, though the cache still has it', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  const world = process({ memory, cache, listens: true })
  await world.authorizer.accessFor('u1')
  const stale = [...cache.entries]
  memory.setSubject('u1', ['viewer'])
  // A late fill puts the old record back after the change has removed it.
  await until(() => cache.entries.size === 0)
  for (const [key, entry] of stale) cache.entries.set(key, entry)
  expect((await world.authorizer.accessFor('u1')).can('document:update')).toBe(false)
})

test('a refused record is taken out, so that the next process shares a new one', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  await process({ memory, cache }).authorizer.accessFor('u1')
  const token = memory.setSubject('u1', ['viewer'])
  await process({ memory, cache }).authorizer.accessFor('u1', { atLeast: token })
  await process({ memory, cache }).authorizer.accessFor('u1')
  const last = process({ memory, cache })
  expect((await last.authorizer.accessFor('u1')).can('document:update')).toBe(false)
  expect(last.store.asked.subject).toBe(0)
})

test('a changed role refuses all shared records, since names in them may mean something else', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  const world = process({ memory, cache, listens: true })
  await world.authorizer.accessFor('u1')
  memory.setPolicy(policy)
  await world.authorizer.accessFor('u1')
  expect(world.store.asked).toMatchObject({ policy: 2, subject: 2 })
})

test('a record older than the token of a write is refused', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  await process({ memory, cache }).authorizer.accessFor('u1')
  const token = memory.setSubject('u1', ['viewer'])
  const other = process({ memory, cache })
  expect((await other.authorizer.accessFor('u1', { atLeast: token })).can('document:update')).toBe(false)
})

test('"now" asks the store and not the cache', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  await process({ memory, cache }).authorizer.accessFor('u1')
  memory.setSubject('u1', ['viewer'])
  const other = process({ memory, cache })
  expect((await other.authorizer.accessFor('u1', { freshness: 'now' })).can('document:update')).toBe(false)
})

test('roles that end within the bound are never taken from the cache, where their age is unknown', async () => {
  const memory = memoryStore({
    u1: [{ role: 'editor', expiresInMs: 5000 }],
    u2: [{ role: 'editor', expiresInMs: 90_000 }],
  })
  const cache = chaosCache()
  for (const _process of [1, 2]) {
    const world = process({ memory, cache })
    await world.authorizer.accessFor('u1')
    await world.authorizer.accessFor('u2')
  }
  const third = process({ memory, cache })
  await third.authorizer.accessFor('u2')
  expect(third.store.asked.subject).toBe(0)
  await third.authorizer.accessFor('u1')
  expect(third.store.asked.subject).toBeGreaterThan(0)
})

test.each<[string, unknown]>([
  ['nothing', null],
  ['a string', 'admin'],
  ['no assignments', { version: 9, isActive: true, isSuperuser: true }],
  ['a flag that is a string', { version: 9, isActive: 'true', isSuperuser: true, assignments: [] }],
  ['no version', { isActive: true, isSuperuser: true, assignments: [] }],
  ['an assignment that is a string', { version: 9, isActive: true, isSuperuser: false, assignments: ['admin'] }],
  [
    'a scope that is a number',
    { version: 9, isActive: true, isSuperuser: false, assignments: [{ role: 'admin', scope: 1 }] },
  ],
  [
    'an end that is a string',
    { version: 9, isActive: true, isSuperuser: false, assignments: [{ role: 'admin', expiresInMs: 'x' }] },
  ],
])('a shared record that is %s is not believed', async (_what, value) => {
  const memory = memoryStore()
  const cache = chaosCache()
  await process({ memory, cache }).authorizer.accessFor('u1')
  const [key = ''] = cache.entries.keys()
  cache.entries.set(key, { json: JSON.stringify(value), expiresAt: Infinity })
  const other = process({ memory, cache })
  const access = await other.authorizer.accessFor('u1')
  expect(access.can('document:update')).toBe(true)
  expect(access.can('user:manage')).toBe(false)
  expect(other.store.asked.subject).toBe(1)
})

test('with the cache down the store answers', async () => {
  const cache = chaosCache()
  cache.fault = 'down'
  const world = process({ cache })
  expect((await world.authorizer.accessFor('u1')).can('document:update')).toBe(true)
  expect(world.authorizer.state).toBe('fresh')
})

test('with the cache hanging the store answers after a while', async () => {
  const cache = chaosCache()
  cache.fault = 'hang'
  const world = process({ cache, maxStalenessMs: 3000 })
  const start = performance.now()
  expect((await world.authorizer.accessFor('u1')).can('document:update')).toBe(true)
  expect(performance.now() - start).toBeLessThan(2500)
})

test('with the store down, one failure is enough, and its cause is told', async () => {
  const world = process({ cache: chaosCache() })
  world.store.fault = 'down'
  await expect(world.authorizer.accessFor('u1')).rejects.toMatchObject({
    code: 'GRANT_STORE_UNAVAILABLE',
    cause: { message: 'connection refused' },
  })
  expect(world.store.asked.subject).toBe(1)
})

test('with the store hanging, one wait is enough', async () => {
  const world = process({ cache: chaosCache(), maxStalenessMs: 3000 })
  world.store.fault = 'hang'
  const start = performance.now()
  await expect(world.authorizer.accessFor('u1')).rejects.toMatchObject({ code: 'GRANT_STORE_UNAVAILABLE' })
  expect(performance.now() - start).toBeLessThan(1900)
  expect(world.store.asked.subject).toBe(1)
})

test('a load through the cache that takes too long is not shared', async () => {
  const memory = memoryStore()
  const cache = chaosCache()
  const world = process({ memory, cache, maxStalenessMs: 3000 })
  world.store.late = waitUntil(performance.now() + 1200)
  await expect(world.authorizer.accessFor('u1')).rejects.toMatchObject({ code: 'GRANT_STORE_UNAVAILABLE' })
  await world.store.late
  expect(cache.entries.size).toBe(0)
})

test('keys are short, and differ for ids that look alike', async () => {
  const ids = [
    'u1',
    'U1',
    'u1 ',
    'a$$b',
    'a$',
    '__proto__',
    '\u0000',
    '\ud800',
    '\udfff',
    'é',
    'e\u0301',
    'x'.repeat(10_000),
  ]
  const cache = chaosCache()
  const world = process({
    cache,
    memory: memoryStore(Object.fromEntries(ids.map(id => ['' + id, ['viewer'] as const]))),
  })
  for (const id of ids) await world.authorizer.accessFor(id)
  expect(cache.entries.size).toBe(ids.length)
  for (const key of cache.entries.keys()) expect(key).toMatch(/^[\x21-\x7e]{1,100}$/)
})
