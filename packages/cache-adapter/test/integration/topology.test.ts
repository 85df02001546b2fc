import { afterEach, expect, test } from 'vitest'
import { startMemcached } from '../../../../test/support/memcached.ts'
import type { Service } from '../../../../test/support/service.ts'
import { createCaches, type Cache } from '../../src/index.ts'
import { memcachedStore } from '../../src/memcached/index.ts'

let servers: Service[] = []

afterEach(async () => {
  for (const server of servers) await server.kill()
  servers = []
})

async function start(count: number): Promise<void> {
  for (let started = 0; started < count; started += 1) servers.push(await startMemcached())
}

function connect(which: Service[]): { cache: Cache<number>; close: () => Promise<void> } {
  const store = memcachedStore({ servers: which.map(server => `127.0.0.1:${server.port}`), timeoutMs: 1000 })
  const caches = createCaches({ store, prefix: 'app', schemaVersion: 1 })
  return { cache: caches.namespace<number>('n'), close: () => caches.close() }
}

const keys = Array.from({ length: 2000 }, (_, index) => String(index))

async function fill(cache: Cache<number>): Promise<void> {
  await Promise.all(keys.map(async (key, index) => cache.set(key, index, { ttlMs: 600_000 })))
}

test('a fourth server takes a quarter of the keys, and the rest stay where they are', async () => {
  await start(4)
  const three = connect(servers.slice(0, 3))
  await fill(three.cache)
  const four = connect(servers)
  // Where the version moved too, the whole namespace is loaded again: a miss, never an old value.
  await four.cache.set('probe', 1)
  const found = (await four.cache.getMany(keys)).size
  const kept = found / keys.length
  expect(kept === 0 || (kept > 0.7 && kept < 0.8), `kept ${kept}`).toBe(true)
  await three.close()
  await four.close()
})

test('a server that was restarted brings nothing back', async () => {
  await start(2)
  const { cache, close } = connect(servers)
  await fill(cache)
  const [first] = servers
  await first?.kill()
  await Promise.all(keys.slice(0, 1000).map(async key => cache.delete(key)))
  servers[0] = await startMemcached({ port: first!.port })
  const found = await cache.getMany(keys)
  for (const key of keys.slice(0, 1000)) expect(found.has(key)).toBe(false)
  await close()
})

test('a server that was away and comes back with its memory brings nothing back that this process voided', async () => {
  await start(2)
  const { cache, close } = connect(servers)
  await Promise.all(keys.slice(0, 100).map(async (key, index) => cache.set(key, index, { tags: ['t'] })))
  const [first] = servers
  first?.pause()
  await Promise.all(keys.slice(0, 50).map(async key => cache.delete(key)))
  await cache.invalidateTag('t')
  first?.resume()
  const found = await cache.getMany(keys.slice(0, 100))
  expect(found.size).toBe(0)
  await close()
})
