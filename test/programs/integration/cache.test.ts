// The cache program of the design, on memcached.
import { createCaches } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import { memoryStore } from '@countersign/cache-adapter/memory'
import { afterAll, describe, expect, inject, test } from 'vitest'

interface Person {
  name: string
}

describe.each([
  ['memory', () => memoryStore()],
  ['memcached', () => memcachedStore({ servers: [inject('memcachedServer')] })],
])('over %s', (_name, openStore) => {
  const caches = createCaches({ store: openStore(), prefix: `app-${Math.random()}`, schemaVersion: 1 })
  afterAll(() => caches.close())

  test('a namespace loads once, and again after its tag or all of it is invalidated', async () => {
    const people = caches.namespace<Person>('people')
    let loads = 0
    const load = async (): Promise<Person> => ({ name: `load ${(loads += 1)}` })
    const options = { ttlMs: 60_000, graceMs: 300_000, tags: ['team:7'] }
    expect(await people.getOrLoad('42', load, options)).toEqual({ name: 'load 1' })
    expect(await people.getOrLoad('42', load, options)).toEqual({ name: 'load 1' })
    await people.invalidateTag('team:7')
    expect(await people.getOrLoad('42', load, options)).toEqual({ name: 'load 2' })
    await people.clear()
    expect(await people.getOrLoad('42', load, options)).toEqual({ name: 'load 3' })
  })
})
