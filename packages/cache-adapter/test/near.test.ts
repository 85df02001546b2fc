import { setImmediate } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { memoryStore, nearCache } from '../src/memory/index.ts'
import { gate, setUp } from './support.ts'

function scene(ttlMs = 1000) {
  const { caches, another, advance } = setUp()
  const cache = caches.namespace<{ on: boolean }>('flags', { near: nearCache({ ttlMs }) })
  return { cache, elsewhere: another().namespace<{ on: boolean }>('flags'), advance }
}

describe('values at hand', () => {
  test('a value is at hand once it was read from the store, and is frozen', async () => {
    const { cache } = scene()
    await cache.getOrLoad('a', () => ({ on: true }))
    expect(cache.peek('a')).toBeUndefined()
    await cache.get('a')
    const near = cache.peek('a')
    expect(near).toEqual({ on: true })
    expect(await cache.get('a')).toBe(near)
    expect(await cache.getOrLoad('a', () => ({ on: false }))).toBe(near)
    expect(() => {
      if (near) near.on = false
    }).toThrow(TypeError)
  })

  test('nothing is at hand in a namespace without near', async () => {
    const cache = setUp().caches.namespace<number>('n')
    await cache.set('a', 1)
    await cache.get('a')
    expect(cache.peek('a')).toBeUndefined()
  })

  test('what this process changes is seen at once', async () => {
    const { cache } = scene(60_000)
    const ways = [
      async () => cache.delete('a'),
      async () => cache.invalidateTag('t'),
      async () => cache.clear(),
      async () => cache.set('a', { on: false }),
    ]
    for (const change of ways) {
      await cache.set('a', { on: true }, { tags: ['t'] })
      await cache.get('a')
      expect(cache.peek('a')).toEqual({ on: true })
      await change()
      expect(cache.peek('a')).toBeUndefined()
      expect(await cache.get('a')).not.toEqual({ on: true })
    }
  })

  test('what another process changes is seen when the time is over', async () => {
    const { cache, elsewhere } = scene(500)
    await cache.set('a', { on: true })
    await cache.get('a')
    await elsewhere.set('a', { on: false })
    expect(await cache.get('a')).toEqual({ on: true })
    await vi.waitUntil(async () => (await cache.get('a'))?.on === false, { timeout: 5000 })
  })

  test('a value is not kept at hand longer than it is fresh', async () => {
    const { cache, advance } = scene(60_000)
    await cache.set('a', { on: true }, { ttlMs: 1000, jitter: 0 })
    advance(999)
    await cache.get('a')
    await vi.waitUntil(() => cache.peek('a') === undefined)
  })

  test('a read that an invalidation overtook is not kept at hand', async () => {
    const store = memoryStore()
    const read = gate()
    let hold = false
    const slow = {
      ...store,
      get: async (keys: readonly string[]) => {
        const found = await store.get(keys)
        if (hold) await read.promise
        return found
      },
    }
    const cache = setUp({ store: slow }).caches.namespace<number>('n', { near: nearCache() })
    await cache.set('a', 1)
    hold = true
    const reading = cache.get('a')
    await setImmediate()
    await cache.delete('a')
    hold = false
    read.open()
    expect(await reading).toBe(1)
    expect(cache.peek('a')).toBeUndefined()
  })

  test('bytes are not shared', async () => {
    const cache = setUp().caches.namespace<Uint8Array>('bytes', { near: nearCache() })
    await cache.set('a', Uint8Array.of(1))
    await cache.get('a')
    expect(cache.peek('a')).toBeUndefined()
  })

  test('no more values are kept than may be', async () => {
    const cache = setUp().caches.namespace<number>('n', { near: nearCache({ maxEntries: 2 }) })
    for (const key of ['a', 'b', 'c']) await cache.set(key, 1)
    for (const key of ['a', 'b', 'c']) await cache.get(key)
    expect(['a', 'b', 'c'].map(key => cache.peek(key))).toEqual([undefined, 1, 1])
  })
})
