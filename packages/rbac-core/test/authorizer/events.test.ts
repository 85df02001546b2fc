import { createAuthorizer, type GrantChanges } from '@countersign/rbac-core'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chaosCache } from '../support/chaos.ts'
import { until } from '../support/wait.ts'
import { memoryStore, permissions, process } from '../support/world.ts'

const names = ['load', 'invalidate', 'state'].map(name => `countersign.rbac-core.${name}`)
let heard: Record<string, unknown>[] = []
const listen = (message: unknown, name: string | symbol): void => {
  heard.push({ channel: String(name).split('.').at(-1), ...(message as object) })
}

beforeEach(() => {
  heard = []
  for (const name of names) subscribe(name, listen)
})
afterEach(() => {
  for (const name of names) unsubscribe(name, listen)
})

const took = { durationMs: expect.any(Number) as number }

test('each load is published with what, from where, how long and which version', async () => {
  const world = process({ cache: chaosCache() })
  await world.authorizer.accessFor('u1')
  await world.authorizer.accessFor('u1')
  expect(heard).toEqual(
    expect.arrayContaining([
      { channel: 'load', of: 'policy', source: 'store', version: 1, ...took },
      { channel: 'load', of: 'subject', source: 'store', subjectId: 'u1', version: 1, ...took },
      { channel: 'load', of: 'subject', source: 'cache', subjectId: 'u1', version: 1, ...took },
    ]),
  )
  expect(heard).toHaveLength(3)
})

test('a failed load is published with its error, and so are the state before and after', async () => {
  const world = process({})
  world.store.fault = 'down'
  await expect(world.authorizer.accessFor('u1')).rejects.toThrow()
  const error = expect.objectContaining({ message: 'connection refused' }) as Error
  expect(heard).toContainEqual({ channel: 'state', state: 'degraded', cause: error })
  expect(heard).toContainEqual({ channel: 'load', of: 'subject', source: 'store', subjectId: 'u1', error, ...took })
  expect(world.authorizer.state).toBe('degraded')
  world.store.fault = 'none'
  await world.authorizer.accessFor('u1')
  expect(heard.filter(({ channel }) => channel === 'state').at(-1)).toMatchObject({ state: 'fresh' })
  expect(world.authorizer.state).toBe('fresh')
})

test('a failure of the shared cache is published, to load and to forget', async () => {
  const cache = chaosCache()
  const world = process({ cache, listens: true })
  cache.fault = 'down'
  await world.authorizer.accessFor('u1')
  const error = expect.objectContaining({ message: 'cache is down' }) as Error
  expect(heard).toContainEqual({ channel: 'load', of: 'subject', source: 'cache', subjectId: 'u1', error, ...took })
  world.memory.setSubject('u1', ['viewer'])
  await until(() => heard.some(event => event.channel === 'invalidate' && event.error !== undefined))
})

test('changes and gaps are published', async () => {
  const world = process({ listens: true })
  await world.authorizer.accessFor('u1')
  heard = []
  world.memory.setSubject('u1', ['viewer'])
  world.feed.gap()
  expect(heard).toEqual([
    { channel: 'invalidate', cause: 'change', subjectId: 'u1', version: 2 },
    { channel: 'invalidate', cause: 'gap' },
  ])
})

test('the state is degraded while the feed is away', () => {
  const world = process({ listens: true })
  expect(world.authorizer.state).toBe('fresh')
  world.feed.state('disconnected')
  expect(world.authorizer.state).toBe('degraded')
  world.feed.state('connected')
  expect(world.authorizer.state).toBe('fresh')
  expect(heard.filter(({ channel }) => channel === 'state').map(({ state }) => state)).toEqual([
    'degraded',
    'fresh',
    'degraded',
    'fresh',
  ])
})

test('a feed that cannot start leaves the authorizer degraded and at work', async () => {
  const changes: GrantChanges = { subscribe: () => Promise.reject(new Error('no feed')) }
  const authorizer = createAuthorizer({ permissions, store: memoryStore(), maxStalenessMs: 1000, changes })
  expect((await authorizer.accessFor('u1')).can('document:read')).toBe(true)
  expect(authorizer.state).toBe('degraded')
  await authorizer.close()
})
