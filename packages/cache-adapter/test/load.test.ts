import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { LoadDeadlockError, type LoadContext } from '../src/index.ts'
import { memoryStore } from '../src/memory/index.ts'
import { breakable, eventsOf, gate, setUp } from './support.ts'

describe('loading', () => {
  test('callers of several processes who miss at the same time share one load', async () => {
    const { caches, another } = setUp()
    const load = vi.fn(async () => {
      await sleep(50)
      return 1
    })
    const processes = [caches, another(), another(), another()].map(one => one.namespace<number>('n'))
    const waits = await eventsOf('lease-wait', async () => {
      const callers = processes.flatMap(cache => Array.from({ length: 50 }, async () => cache.getOrLoad('k', load)))
      expect(new Set(await Promise.all(callers))).toEqual(new Set([1]))
    })
    expect(load).toHaveBeenCalledTimes(1)
    expect(waits).toHaveLength(3)
  })

  test('a loader that throws fails everybody who waits, and the next caller loads again at once', async () => {
    const cache = setUp().caches.namespace<number>('n')
    const load = vi.fn(async () => {
      await setImmediate()
      throw new Error('no database')
    })
    const callers = await Promise.allSettled([1, 2, 3].map(async () => cache.getOrLoad('k', load)))
    expect(callers.map(caller => caller.status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.getOrLoad('k', () => 2)).toBe(2)
  })

  test('a loader may throw before it returns a promise', async () => {
    const cache = setUp().caches.namespace<number>('n')
    const load = (): number => {
      throw new Error('at once')
    }
    await expect(cache.getOrLoad('k', load)).rejects.toThrow('at once')
  })

  test('a loader that hangs is given up at its deadline, and its signal is aborted', async () => {
    const cache = setUp().caches.namespace<number>('n')
    let signal: AbortSignal | undefined
    const hang = async (context: LoadContext<number>): Promise<number> => {
      signal = context.signal
      return new Promise(() => undefined)
    }
    const call = cache.getOrLoad('k', hang, { loadTimeoutMs: 50 })
    await expect(call).rejects.toMatchObject({ code: 'LOAD_TIMEOUT', key: 'app:1:n:k:k', timeoutMs: 50 })
    expect(signal?.aborted).toBe(true)
    expect(await cache.getOrLoad('k', () => 2)).toBe(2)
  })

  test('what a hung loader brings in the end is not stored', async () => {
    const cache = setUp().caches.namespace<number>('n')
    const late = gate<number>()
    await expect(cache.getOrLoad('k', () => late.promise, { loadTimeoutMs: 20 })).rejects.toThrow('20 ms')
    late.open(1)
    await setImmediate()
    expect(await cache.get('k')).toBeUndefined()
  })

  test('a process that died while it loaded holds the others up no longer than the load may take', async () => {
    const { caches, another, advance } = setUp()
    const dead = gate<number>()
    const lost = caches.namespace<number>('n').getOrLoad('k', () => dead.promise, { loadTimeoutMs: 60_000 })
    await setImmediate()
    const waiting = another()
      .namespace<number>('n')
      .getOrLoad('k', () => 2, { loadTimeoutMs: 60_000 })
    await sleep(30)
    advance(60_001)
    expect(await waiting).toBe(2)
    dead.open(1)
    expect(await lost).toBe(1)
    expect(await caches.namespace('n').get('k')).toBe(2)
  })

  test('that there is nothing is remembered, for a time of its own', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('n')
    const load = vi.fn(async () => undefined)
    const options = { ttlMs: 10_000, absentTtlMs: 500 }
    expect(await cache.getOrLoad('k', load, options)).toBeUndefined()
    expect(await cache.getOrLoad('k', load, options)).toBeUndefined()
    expect(await cache.get('k')).toBeUndefined()
    expect(await cache.getMany(['k'])).toEqual(new Map())
    expect(load).toHaveBeenCalledTimes(1)
    advance(500)
    expect(await cache.getOrLoad('k', () => 3, options)).toBe(3)
    await cache.getOrLoad('tenth', load, { ttlMs: 10_000 })
    advance(999)
    await cache.getOrLoad('tenth', load)
    expect(load).toHaveBeenCalledTimes(2)
    advance(1)
    await cache.getOrLoad('tenth', load)
    expect(load).toHaveBeenCalledTimes(3)
  })

  test('null is a value like any other', async () => {
    const cache = setUp().caches.namespace<number | null>('n')
    const load = vi.fn(() => null)
    expect(await cache.getOrLoad('k', load)).toBeNull()
    expect(await cache.getOrLoad('k', load)).toBeNull()
    expect(load).toHaveBeenCalledTimes(1)
  })
})

describe('a value that is invalidated while it is loaded', () => {
  const ways: [string, (cache: ReturnType<typeof scene>['elsewhere']) => Promise<void>][] = [
    ['deleted', async cache => cache.delete('k')],
    ['voided by tag', async cache => cache.invalidateTag('t')],
    ['cleared with its namespace', async cache => cache.clear()],
    ['overwritten', async cache => cache.set('k', 100)],
  ]
  function scene() {
    const { caches, another } = setUp()
    return { cache: caches.namespace<number>('n'), elsewhere: another().namespace<number>('n') }
  }

  test.each(ways)('is not stored when it was %s by another process', async (_way, invalidate) => {
    const { cache, elsewhere } = scene()
    const loading = gate()
    const read = gate<number>()
    const load = async (): Promise<number> => {
      loading.open()
      return read.promise
    }
    const call = cache.getOrLoad('k', load, { tags: ['t'] })
    await loading.promise
    await invalidate(elsewhere)
    read.open(1)
    expect(await call).toBe(1)
    expect(await cache.get('k')).not.toBe(1)
    expect(await cache.getOrLoad('k', () => 100, { tags: ['t'] })).toBe(100)
  })

  test.each(ways)('is not handed to who asks after it was %s', async (_way, invalidate) => {
    for (const by of ['this', 'another'] as const) {
      const { cache, elsewhere } = scene()
      const loading = gate()
      const read = gate<number>()
      const load = async (): Promise<number> => {
        loading.open()
        return read.promise
      }
      const early = cache.getOrLoad('k', load, { tags: ['t'] })
      await loading.promise
      await invalidate(by === 'this' ? cache : elsewhere)
      expect(await cache.getOrLoad('k', () => 100, { tags: ['t'] })).toBe(100)
      read.open(1)
      expect(await early).toBe(1)
      expect(await cache.getOrLoad('k', () => 0, { tags: ['t'] })).toBe(100)
    }
  })
})

describe('grace', () => {
  const options = { ttlMs: 1000, graceMs: 5000, jitter: 0 }

  test('without grace nothing is served stale', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('n')
    await cache.getOrLoad('k', () => 1, { ttlMs: 1000, jitter: 0 })
    advance(1000)
    await expect(cache.getOrLoad('k', () => Promise.reject(new Error('down')))).rejects.toThrow('down')
  })

  test('a stale value is served at once while one caller of all processes loads', async () => {
    const { caches, another, advance } = setUp()
    const processes = [caches, another(), another()].map(one => one.namespace<number>('n'))
    const [cache] = processes
    await cache?.getOrLoad('k', () => 1, options)
    advance(1000)
    const loaded = gate<number>()
    const load = vi.fn(() => loaded.promise)
    for (let round = 0; round < 3; round += 1) {
      const values = await Promise.all(processes.map(async one => one.getOrLoad('k', load, options)))
      expect(values).toEqual([1, 1, 1])
    }
    expect(load).toHaveBeenCalledTimes(1)
    expect(load).toHaveBeenCalledWith(expect.objectContaining({ stale: 1 }))
    loaded.open(2)
    await vi.waitUntil(async () => (await cache?.get('k')) === 2)
    expect(load).toHaveBeenCalledTimes(1)
  })

  test('when the refresh fails the stale value is served until its grace is over', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('n')
    await cache.getOrLoad('k', () => 1, options)
    advance(1000)
    const load = vi.fn(() => Promise.reject(new Error('down')))
    const errors = await eventsOf('load', async () => {
      expect(await cache.getOrLoad('k', load, options)).toBe(1)
      await vi.waitUntil(() => load.mock.calls.length > 0)
      await setImmediate()
      expect(await cache.getOrLoad('k', load, options)).toBe(1)
    })
    expect(errors).toMatchObject([{ error: { message: 'down' } }])
    advance(4999)
    expect(await cache.getOrLoad('k', load, options)).toBe(1)
    advance(1)
    await expect(cache.getOrLoad('k', load, options)).rejects.toThrow('down')
  })

  test('a caller may wait a while for the new value before it takes the stale one', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('n')
    await cache.getOrLoad('k', () => 1, options)
    advance(1000)
    expect(await cache.getOrLoad('k', () => 2, { ...options, softTimeoutMs: 500 })).toBe(2)
    advance(1000)
    const loaded = gate<number>()
    expect(await cache.getOrLoad('k', () => loaded.promise, { ...options, softTimeoutMs: 20 })).toBe(2)
    loaded.open(3)
    await vi.waitUntil(async () => (await cache.get('k')) === 3)
  })

  test('a refresh that another process has overtaken is not waited for', async () => {
    const { caches, another, advance } = setUp()
    const cache = caches.namespace<number>('n')
    const elsewhere = another().namespace<number>('n')
    await cache.getOrLoad('k', () => 1, options)
    advance(1000)
    const old = gate<number>()
    expect(await cache.getOrLoad('k', () => old.promise, options)).toBe(1)
    await setImmediate()
    await elsewhere.set('k', 10, options)
    advance(1000)
    const call = cache.getOrLoad('k', () => 11, { ...options, softTimeoutMs: 5000 })
    await setImmediate()
    old.open(2)
    expect(await call).toBe(11)
  })

  test('what was invalidated is not served stale', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('n')
    await cache.getOrLoad('k', () => 1, { ...options, tags: ['t'] })
    advance(1000)
    await cache.invalidateTag('t')
    expect(await cache.getOrLoad('k', () => 2, { ...options, tags: ['t'] })).toBe(2)
  })
})

describe('loaders that call loaders', () => {
  test('one that asks for its own key is refused, with the key named', async () => {
    const cache = setUp().caches.namespace<number>('n')
    const load = async (): Promise<number | undefined> => cache.getOrLoad('k', load)
    await expect(cache.getOrLoad('k', load)).rejects.toMatchObject({
      code: 'LOAD_DEADLOCK',
      keys: ['app:1:n:k:k', 'app:1:n:k:k'],
    })
  })

  test('one that asks for its own key through others is refused', async () => {
    const cache = setUp().caches.namespace<number>('n')
    const load = (next: string) => async (): Promise<number | undefined> =>
      cache.getOrLoad(next, load(next === 'a' ? 'b' : next === 'b' ? 'c' : 'a'))
    const error: unknown = await cache.getOrLoad('a', load('b')).catch((cause: unknown) => cause)
    expect(LoadDeadlockError.isInstance(error)).toBe(true)
    expect((error as LoadDeadlockError).keys.map(key => key.slice(-1))).toEqual(['a', 'b', 'c', 'a'])
  })

  test('two that wait for each other are refused', async () => {
    const cache = setUp().caches.namespace<number>('n')
    const both = gate()
    let started = 0
    const crossing = (other: string) => async (): Promise<number | undefined> => {
      started += 1
      if (started === 2) both.open()
      await both.promise
      return cache.getOrLoad(other, () => 0)
    }
    const results = await Promise.allSettled([cache.getOrLoad('a', crossing('b')), cache.getOrLoad('b', crossing('a'))])
    const reasons = results.map(result =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : '',
    )
    expect(reasons).toContain('LOAD_DEADLOCK')
  })

  test('one that asks for other keys is fine, and so is what it leaves running', async () => {
    const cache = setUp().caches.namespace<number>('n')
    let later: (() => Promise<number | undefined>) | undefined
    const load = async (): Promise<number> => {
      later = AsyncLocalStorage.bind(async () => cache.getOrLoad('k', () => 5))
      return ((await cache.getOrLoad('b', () => 1)) ?? 0) + ((await cache.getOrLoad('c', () => 2)) ?? 0)
    }
    expect(await cache.getOrLoad('k', load)).toBe(3)
    await cache.delete('k')
    expect(await later?.()).toBe(5)
  })
})

describe('when the store fails', () => {
  test('reads are misses, loads run, writes are dropped, and it is said so', async () => {
    const store = breakable(memoryStore())
    const { caches } = setUp({ store })
    const cache = caches.namespace<number>('n')
    await cache.set('k', 1)
    store.broken = true
    const errors = await eventsOf('error', async () => {
      expect(await cache.get('k')).toBeUndefined()
      expect(await cache.getMany(['k'])).toEqual(new Map())
      expect(await cache.getOrLoad('k', () => 2)).toBe(2)
      await cache.set('k', 3)
    })
    expect(errors.map(event => event.operation)).toEqual(['get', 'get', 'get', 'set'])
    expect(caches.stats().n).toMatchObject({ errors: 4 })
  })

  test('callers still share one load', async () => {
    const store = breakable(memoryStore())
    store.broken = true
    const cache = setUp({ store }).caches.namespace<number>('n')
    const load = vi.fn(async () => {
      await sleep(20)
      return 1
    })
    expect(await Promise.all([1, 2, 3].map(async () => cache.getOrLoad('k', load)))).toEqual([1, 1, 1])
    expect(load).toHaveBeenCalledTimes(1)
  })

  test.each(['delete', 'invalidateTag', 'clear'] as const)(
    'a load that began before this process called %s is not shared any more',
    async way => {
      const store = breakable(memoryStore())
      store.broken = true
      const cache = setUp({ store }).caches.namespace<number>('n')
      const loading = gate()
      const read = gate<number>()
      const options = { tags: ['t'] }
      const early = cache.getOrLoad(
        'k',
        async () => {
          loading.open()
          return read.promise
        },
        options,
      )
      await loading.promise
      await cache[way](way === 'delete' ? 'k' : 't')
      expect(await cache.getOrLoad('k', () => 2, options)).toBe(2)
      read.open(1)
      expect(await early).toBe(1)
    },
  )

  test('a store that throws instead of rejecting is a store that fails', async () => {
    const store = {
      ...memoryStore(),
      get: () => {
        throw new Error('not even a promise')
      },
    }
    const cache = setUp({ store }).caches.namespace<number>('n')
    expect(await cache.getOrLoad('k', () => 2)).toBe(2)
  })

  const ways: [
    string,
    (cache: {
      delete(key: string): Promise<void>
      invalidateTag(tag: string): Promise<void>
      clear(): Promise<void>
      set(key: string, value: number): Promise<void>
    }) => Promise<void>,
  ][] = [
    ['delete', async cache => cache.delete('k')],
    ['invalidateTag', async cache => cache.invalidateTag('t')],
    ['clear', async cache => cache.clear()],
    ['set', async cache => cache.set('k', 9)],
  ]
  test.each(ways)('what %s could not void is not served when the store is back', async (_way, invalidate) => {
    const store = breakable(memoryStore())
    const { caches, another } = setUp({ store })
    const cache = caches.namespace<number>('n')
    await cache.set('k', 1, { tags: ['t'] })
    store.broken = true
    await invalidate(cache)
    store.broken = false
    expect(await cache.get('k')).toBeUndefined()
    expect(await cache.getOrLoad('k', () => 2, { tags: ['t'] })).toBe(2)
    const elsewhere = another().namespace<number>('n')
    await vi.waitUntil(async () => (await elsewhere.get('k')) === undefined, { timeout: 3000 })
    const stored = async (): Promise<boolean> => {
      expect(await cache.getOrLoad('k', () => 3, { tags: ['t'] })).toBe(3)
      return (await elsewhere.get('k')) === 3
    }
    await vi.waitUntil(stored, { timeout: 5000 })
  })

  test('a deletion that still fails does not hold up the others', async () => {
    const memory = memoryStore()
    let broken = ['app:1:n:k:a', 'app:1:n:k:b']
    const store = {
      ...memory,
      delete: async (key: string) => {
        if (broken.includes(key)) throw new Error('its server is down')
        return memory.delete(key)
      },
    }
    const { caches, another } = setUp({ store })
    const cache = caches.namespace<number>('n')
    for (const key of ['a', 'b']) {
      await cache.set(key, 1)
      await cache.delete(key)
    }
    broken = ['app:1:n:k:a']
    const elsewhere = another().namespace<number>('n')
    await vi.waitUntil(async () => (await elsewhere.get('b')) === undefined, { timeout: 3000 })
    expect(await elsewhere.get('a')).toBe(1)
    expect(await cache.get('a')).toBeUndefined()
  })
})
