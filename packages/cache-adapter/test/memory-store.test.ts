import { describe, expect, test } from 'vitest'
import { memoryStore } from '../src/memory/index.ts'
import { storeSuite } from '../src/testing/index.ts'

describe('the memory store', () => {
  let now = 0
  storeSuite({
    test,
    create: () => memoryStore({ now: () => now }),
    advance: ms => {
      now += ms
    },
    sequences: 200,
  })

  test('keeps no more bytes than it may, and drops what was used least recently', async () => {
    const store = memoryStore({ maxBytes: 20_000, maxValueBytes: 5000 })
    const value = new Uint8Array(4000)
    for (const key of ['a', 'b', 'c', 'd']) await store.set(key, value, { ttlMs: 60_000 })
    await store.get(['a'])
    await store.set('e', value, { ttlMs: 60_000 })
    const kept = await store.get(['a', 'b', 'c', 'd', 'e'])
    expect(kept.map(entry => entry !== undefined)).toEqual([true, false, true, true, true])
  })

  test.each([{ maxBytes: 0 }, { maxBytes: 1.5 }, { maxValueBytes: -1 }, { maxBytes: 10, maxValueBytes: 20 }])(
    'refuses the bound %j',
    options => {
      expect(() => memoryStore(options)).toThrow(expect.objectContaining({ code: 'INVALID_CACHE_INPUT' }) as Error)
    },
  )
})
