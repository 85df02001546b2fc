import { expect, test } from 'vitest'
import { createAuthorizer, definePolicy, memoryGrantStore, type GrantChangeListener } from '@countersign/rbac-core'
import { memoryStore, permissions } from '../support/world.ts'
import { setTimeout as sleep } from 'node:timers/promises'

const maxStalenessMs = 200
const restoredPolicy = definePolicy(permissions, { roles: { editor: { permissions: ['document:read'] } } })

/** A store at version 3, and one to put in its place that begins at version 1 and grants less. */
function worlds() {
  const lost = memoryStore()
  lost.setSubject('u1', ['editor'])
  lost.setSubject('u1', ['editor'])
  const restored = memoryGrantStore({ policy: restoredPolicy, assignments: { u1: ['editor'] } })
  const raise = (): number => restored.setSubject('u2', [])
  let current: Pick<typeof lost, 'loadPolicy' | 'loadSubject' | 'loadVersion'> = lost
  const store = {
    loadPolicy: () => current.loadPolicy(),
    loadSubject: (id: string) => current.loadSubject(id),
    loadVersion: () => current.loadVersion(),
  }
  const restore = (): void => {
    current = restored
  }
  return { store, restore, raise }
}

test('after a gap the same version is not taken for the same policy', async () => {
  const { store, restore, raise } = worlds()
  const listeners: GrantChangeListener[] = []
  const changes = {
    subscribe: (listener: GrantChangeListener) => {
      listeners.push(listener)
      listener.onState('connected')
      return Promise.resolve({ close: () => Promise.resolve() })
    },
  }
  const authorizer = createAuthorizer({ permissions, store, changes, maxStalenessMs })
  expect((await authorizer.accessFor('u1')).can('document:update')).toBe(true)
  restore()
  raise()
  expect(raise()).toBe(3)
  listeners[0]?.onGap()
  await sleep(maxStalenessMs)
  expect((await authorizer.accessFor('u1')).can('document:update')).toBe(false)
  await authorizer.close()
})

test('without a feed, the state before a restore does not come back with its number', async () => {
  const { store, restore, raise } = worlds()
  const authorizer = createAuthorizer({ permissions, store, maxStalenessMs })
  expect((await authorizer.accessFor('u1')).can('document:update')).toBe(true)
  restore()
  await sleep(maxStalenessMs)
  expect((await authorizer.accessFor('u1')).can('document:update')).toBe(false)
  raise()
  expect(raise()).toBe(3)
  await sleep(maxStalenessMs)
  const access = await authorizer.accessFor('u1')
  expect(access.can('document:update')).toBe(false)
  expect(access.can('document:read')).toBe(true)
  await authorizer.close()
})
