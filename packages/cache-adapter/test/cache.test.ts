import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { createCaches, type StandardSchema } from '../src/index.ts'
import { memoryStore } from '../src/memory/index.ts'
import { eventsOf, setUp } from './support.ts'

interface Person {
  name: string
}

describe('values', () => {
  test('any JSON value comes back as it was', async () => {
    const cache = setUp().caches.namespace<unknown>('values')
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async value => {
        const plain: unknown = JSON.parse(JSON.stringify(value))
        await cache.set('a', value)
        expect(await cache.get('a')).toEqual(plain)
        expect(await cache.getOrLoad('a', () => 'not this')).toEqual(plain)
      }),
    )
  })

  test('bytes come back as bytes, small, large and compressible', async () => {
    const cache = setUp().caches.namespace<Uint8Array>('bytes')
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.nat(20), async (bytes, times) => {
        const value = Uint8Array.from(Array.from({ length: times }, () => [...bytes]).flat())
        await cache.set('a', value)
        expect(await cache.get('a')).toEqual(value)
      }),
      { numRuns: 50 },
    )
  })

  test('a large text takes less room than it has characters', async () => {
    const { caches, store } = setUp()
    await caches.namespace<string>('texts').set('a', 'lorem ipsum '.repeat(10_000))
    const [entry] = await store.get(['app:1:texts:k:a'])
    expect((entry as { value: Uint8Array }).value.length).toBeLessThan(3000)
    expect(await caches.namespace<string>('texts').get('a')).toHaveLength(120_000)
  })

  const circle: Record<string, unknown> = {}
  circle.self = circle
  test.each([undefined, () => 1, Symbol('a'), 1n, { n: 1n }, NaN, Infinity, circle])(
    'a value that is no JSON is refused: case %#',
    async value => {
      const cache = setUp().caches.namespace<unknown>('values')
      const refusal = { code: 'INVALID_CACHE_INPUT', field: 'value' }
      await expect(cache.set('a', value)).rejects.toMatchObject(refusal)
      if (value !== undefined) await expect(cache.getOrLoad('a', () => value)).rejects.toMatchObject(refusal)
    },
  )

  test('no two callers share an object, nor does the loader share it with them', async () => {
    const cache = setUp().caches.namespace<Person>('people')
    const loaded = { name: 'Ada' }
    const [first, second] = await Promise.all([cache.getOrLoad('1', () => loaded), cache.getOrLoad('1', () => loaded)])
    if (first) first.name = 'changed'
    expect(second).toEqual({ name: 'Ada' })
    expect(loaded).toEqual({ name: 'Ada' })
    expect(await cache.get('1')).toEqual({ name: 'Ada' })
  })

  test('a value that is too large is refused by set, and the old one stays', async () => {
    const cache = setUp().caches.namespace<Uint8Array>('bytes')
    const large = crypto.getRandomValues(new Uint8Array(65_536))
    const huge = Uint8Array.from(
      Array.from({ length: 20 }, () => crypto.getRandomValues(new Uint8Array(65_536))).flatMap(part => [...part]),
    )
    await cache.set('a', large)
    const events = await eventsOf('refused', async () => {
      await expect(cache.set('a', huge)).rejects.toMatchObject({ code: 'CACHE_VALUE_TOO_LARGE' })
    })
    expect(events).toMatchObject([{ reason: 'too-large' }])
    expect(await cache.get('a')).toEqual(large)
    expect(await cache.getOrLoad('b', () => huge)).toEqual(huge)
    expect(await cache.get('b')).toBeUndefined()
  })

  test('a schema converts what is read, and what does not fit is loaded again', async () => {
    const date: StandardSchema<Date> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: value => {
          const read = new Date(typeof value === 'string' ? value : NaN)
          return isNaN(read.getTime()) ? { issues: [{ message: 'no date' }] } : { value: read }
        },
      },
    }
    const { caches } = setUp()
    const dates = caches.namespace('dates', { schema: date })
    await dates.set('a', new Date(5))
    expect(await dates.get('a')).toEqual(new Date(5))
    await caches.namespace<string>('dates').set('b', 'not a date')
    expect(await dates.get('b')).toBeUndefined()
    expect(await dates.getOrLoad('b', () => new Date(6))).toEqual(new Date(6))
    expect(await dates.getMany(['a', 'b'])).toEqual(
      new Map([
        ['a', new Date(5)],
        ['b', new Date(6)],
      ]),
    )
    await expect(dates.set('c', new Date(NaN))).rejects.toMatchObject({ code: 'INVALID_CACHE_INPUT' })
  })
})

describe('what is stored', () => {
  test('one changed bit anywhere is a miss, never another value', async () => {
    const { caches, store } = setUp()
    const cache = caches.namespace<Person>('people')
    await cache.set('a', { name: 'Ada' }, { tags: ['t'] })
    const at = 'app:1:people:k:a'
    const [entry] = await store.get([at])
    const { value } = entry as { value: Uint8Array }
    for (let bit = 0; bit < value.length * 8; bit += 1) {
      const changed = Uint8Array.from(value)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      await store.set(at, changed, { ttlMs: 60_000 })
      expect(await cache.get('a'), `bit ${bit}`).toBeUndefined()
    }
    for (let length = 0; length < value.length; length += 1) {
      await store.set(at, value.subarray(0, length), { ttlMs: 60_000 })
      expect(await cache.get('a'), `${length} bytes`).toBeUndefined()
    }
    await store.set(at, value, { ttlMs: 60_000 })
    expect(await cache.get('a')).toEqual({ name: 'Ada' })
  })

  test("another key's bytes are a miss", async () => {
    const { caches, store } = setUp()
    const cache = caches.namespace<Person>('people')
    await cache.set('a', { name: 'Ada' })
    const [entry] = await store.get(['app:1:people:k:a'])
    await store.set('app:1:people:k:b', (entry as { value: Uint8Array }).value, { ttlMs: 60_000 })
    expect(await cache.get('b')).toBeUndefined()
    expect(await cache.getOrLoad('b', () => ({ name: 'Bob' }))).toEqual({ name: 'Bob' })
    expect(await cache.get('b')).toEqual({ name: 'Bob' })
  })
})

describe('keys', () => {
  const strings = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 300 }))
  const anyString = fc.oneof(
    strings,
    fc.array(fc.nat(0xffff), { maxLength: 5 }).map(units => String.fromCharCode(...units)),
  )

  test('any string is a key, and different strings are different keys', async () => {
    const cache = setUp().caches.namespace<string>('keys')
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(anyString, { minLength: 2, maxLength: 8 }), async keys => {
        await Promise.all(keys.map(async (key, index) => cache.set(key, String(index))))
        for (const [index, key] of keys.entries()) expect(await cache.get(key)).toBe(String(index))
        expect((await cache.getMany(keys)).size).toBe(keys.length)
        await cache.clear()
      }),
    )
  })

  test.each([
    '',
    ' ',
    'a b',
    '\r\nflush_all\r\n',
    '\0',
    '\ud800',
    '\ud801',
    '😀',
    'x'.repeat(5000),
    '#',
    'k:',
    '__proto__',
  ])('the key %j holds its own value', async key => {
    const cache = setUp().caches.namespace<string>('keys')
    await cache.set(key, key)
    await cache.set(`${key}.`, 'other')
    expect(await cache.get(key)).toBe(key)
  })

  test('different lone surrogates are different keys', async () => {
    const cache = setUp().caches.namespace<number>('keys')
    await cache.set('\ud800', 1)
    await cache.set('\ud801', 2)
    expect(await cache.get('\ud800')).toBe(1)
  })

  test.each([5, null, undefined, {}, ['a']])('what is no string is refused as key and tag: %j', async key => {
    const cache = setUp().caches.namespace<string>('keys')
    const refusal = { code: 'INVALID_CACHE_INPUT' }
    await expect(cache.get(key as string)).rejects.toMatchObject({ ...refusal, field: 'key' })
    await expect(cache.getMany([key as string])).rejects.toMatchObject(refusal)
    await expect(cache.delete(key as string)).rejects.toMatchObject(refusal)
    await expect(cache.invalidateTag(key as string)).rejects.toMatchObject({ ...refusal, field: 'tag' })
  })

  test('namespaces, prefixes and schema versions do not see each other', async () => {
    const { caches, another } = setUp()
    await caches.namespace<number>('a').set('k', 1)
    expect(await caches.namespace('b').get('k')).toBeUndefined()
    expect(await another({ prefix: 'other' }).namespace('a').get('k')).toBeUndefined()
    expect(await another({ schemaVersion: 2 }).namespace('a').get('k')).toBeUndefined()
    expect(await another().namespace('a').get('k')).toBe(1)
  })

  test.each(['', 'a b', 'a:b', '~a', 'x'.repeat(65), 'ä', 5])('%j is no name of a namespace or prefix', name => {
    const { caches } = setUp()
    const refusal = expect.objectContaining({ code: 'INVALID_CACHE_INPUT' }) as Error
    expect(() => caches.namespace(name as string)).toThrow(refusal)
    expect(() => createCaches({ store: memoryStore(), prefix: name as string, schemaVersion: 1 })).toThrow(refusal)
  })
})

describe('time', () => {
  test('a value is served until its time is over, and not a millisecond longer', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('times')
    await cache.set('set', 1, { ttlMs: 500, jitter: 0 })
    await cache.getOrLoad('load', () => 1, { ttlMs: 500, jitter: 0 })
    advance(499)
    expect(await cache.getMany(['set', 'load'])).toEqual(
      new Map([
        ['set', 1],
        ['load', 1],
      ]),
    )
    advance(1)
    expect((await cache.getMany(['set', 'load'])).size).toBe(0)
  })

  test('jitter only shortens a life, by no more than its share', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('times')
    const keys = Array.from({ length: 300 }, (_, index) => String(index))
    await Promise.all(keys.map(async key => cache.getOrLoad(key, () => 1, { ttlMs: 10_000, jitter: 0.2 })))
    advance(8000 - 1)
    expect((await cache.getMany(keys)).size).toBe(300)
    advance(1000)
    const left = (await cache.getMany(keys)).size
    expect(left).toBeGreaterThan(75)
    expect(left).toBeLessThan(225)
    advance(1001)
    expect((await cache.getMany(keys)).size).toBe(0)
  })

  test('the life of a loaded value counts from the start of its load', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('times')
    const load = (): number => {
      advance(400)
      return 1
    }
    await cache.getOrLoad('a', load, { ttlMs: 1000, jitter: 0 })
    advance(599)
    expect(await cache.get('a')).toBe(1)
    advance(1)
    expect(await cache.get('a')).toBeUndefined()
  })

  test('what took longer to load than it lives is returned but not stored', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('times')
    const events = await eventsOf('refused', async () => {
      const load = (): number => {
        advance(1001)
        return 1
      }
      expect(await cache.getOrLoad('a', load, { ttlMs: 1000 })).toBe(1)
    })
    expect(events).toMatchObject([{ reason: 'too-slow' }])
    expect(await cache.get('a')).toBeUndefined()
  })

  test('31 days are 31 days', async () => {
    const { caches, advance } = setUp()
    const cache = caches.namespace<number>('times')
    await cache.set('a', 1, { ttlMs: 31 * 24 * 3_600_000, jitter: 0 })
    advance(31 * 24 * 3_600_000 - 1)
    // The namespace's own version is renewed after 30 days; a value of that age is loaded again, never served wrongly.
    expect([1, undefined]).toContain(await cache.get('a'))
  })

  test.each([0, -1, NaN, Infinity, 366 * 24 * 3_600_000, '5', null])('a life of %j ms is refused', async ttlMs => {
    const cache = setUp().caches.namespace<number>('times')
    const refusal = { code: 'INVALID_CACHE_INPUT' }
    const load = vi.fn(() => 1)
    if (ttlMs !== null) {
      await expect(cache.set('a', 1, { ttlMs: ttlMs as number })).rejects.toMatchObject({ ...refusal, field: 'ttlMs' })
      await expect(cache.getOrLoad('a', load, { ttlMs: ttlMs as number })).rejects.toMatchObject(refusal)
    }
    if (ttlMs !== 0)
      await expect(cache.getOrLoad('a', load, { graceMs: (ttlMs ?? 'x') as number })).rejects.toMatchObject(refusal)
    await expect(cache.getOrLoad('a', load, { loadTimeoutMs: (ttlMs ?? 'x') as number })).rejects.toMatchObject(refusal)
    expect(load).not.toHaveBeenCalled()
  })

  test.each([-0.1, 0.6, NaN])('a jitter of %j is refused', async jitter => {
    const cache = setUp().caches.namespace<number>('times')
    await expect(cache.set('a', 1, { jitter })).rejects.toMatchObject({ code: 'INVALID_CACHE_INPUT', field: 'jitter' })
  })
})

describe('invalidation', () => {
  test('a tag voids the values that name it, and no others', async () => {
    const { caches } = setUp()
    const cache = caches.namespace<number>('tagged')
    const other = caches.namespace<number>('other')
    await cache.getOrLoad('a', () => 1, { tags: ['x', 'y'] })
    await cache.set('b', 2, { tags: ['y'] })
    await cache.set('c', 3)
    await other.set('d', 4, { tags: ['x', 'y'] })
    await cache.invalidateTag('x')
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual(
      new Map([
        ['b', 2],
        ['c', 3],
      ]),
    )
    await cache.invalidateTag('y')
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual(new Map([['c', 3]]))
    expect(await other.get('d')).toBe(4)
  })

  test('a value may name tags of any kind, up to 32', async () => {
    const cache = setUp().caches.namespace<number>('tagged')
    const tags = ['', ' ', '\r\n', '\ud800', 'x'.repeat(5000), ...Array.from({ length: 27 }, (_, index) => `t${index}`)]
    for (const tag of tags) {
      await cache.set('a', 1, { tags })
      expect(await cache.get('a')).toBe(1)
      await cache.invalidateTag(tag)
      expect(await cache.get('a')).toBeUndefined()
    }
    await expect(cache.set('a', 1, { tags: [...tags, 'more'] })).rejects.toMatchObject({ code: 'INVALID_CACHE_INPUT' })
  })

  test('clear voids its own namespace and no other, also for another process', async () => {
    const { caches, another } = setUp()
    const elsewhere = another()
    for (const name of ['a', 'b']) await caches.namespace<number>(name).set('k', 1)
    expect(await elsewhere.namespace('a').get('k')).toBe(1)
    await elsewhere.namespace('a').clear()
    expect(await caches.namespace('a').get('k')).toBeUndefined()
    expect(await caches.namespace('b').get('k')).toBe(1)
    await caches.namespace<number>('a').set('k', 2)
    expect(await elsewhere.namespace('a').get('k')).toBe(2)
  })

  test('a set after a clear in another process is seen, though this process knew the old version', async () => {
    const { caches, another } = setUp()
    const mine = caches.namespace<number>('a')
    await mine.set('k', 1)
    await another().namespace('a').clear()
    await mine.set('k', 2)
    expect(await another().namespace('a').get('k')).toBe(2)
  })

  test('a lost version voids the namespace and brings nothing back', async () => {
    const { caches, store } = setUp()
    const cache = caches.namespace<number>('a')
    await cache.set('k', 1)
    await store.delete('app:1:a:v')
    expect(await cache.get('k')).toBeUndefined()
    await cache.set('other', 2)
    expect(await cache.get('k')).toBeUndefined()
  })

  test('a value reads a key with all its versions in one batch when its tags are known', async () => {
    const store = memoryStore()
    const get = vi.spyOn(store, 'get')
    const cache = createCaches({ store, prefix: 'app', schemaVersion: 1 }).namespace<number>('a')
    const options = { tags: ['x', 'y'] }
    await cache.getOrLoad('k', () => 1, options)
    get.mockClear()
    await cache.getOrLoad('k', () => 2, options)
    expect(get.mock.calls).toHaveLength(1)
    await Promise.all(Array.from({ length: 64 }, async (_, index) => cache.get(String(index))))
    expect(get.mock.calls).toHaveLength(2)
    expect(get.mock.calls[1]?.[0]).toHaveLength(65)
  })
})

describe('the caches of an application', () => {
  test('a query is kept by name and parameters, and voided by any table it reads', async () => {
    const { query } = setUp().caches
    const load = vi.fn(async () => [{ id: 1 }])
    const open = { name: 'open', params: { a: 1, b: [2] }, tables: ['documents', 'users'] }
    await query.getOrLoad(open, load)
    expect(await query.getOrLoad({ ...open, params: { b: [2], a: 1 } }, load)).toEqual([{ id: 1 }])
    expect(load).toHaveBeenCalledTimes(1)
    await query.getOrLoad({ ...open, params: { a: 1, b: [3] } }, load)
    await query.getOrLoad({ ...open, name: 'open2' }, load)
    expect(load).toHaveBeenCalledTimes(3)
    await query.invalidateTable('users')
    await query.getOrLoad(open, load)
    expect(load).toHaveBeenCalledTimes(4)
    await query.invalidateTable('roles')
    await query.getOrLoad(open, load)
    expect(load).toHaveBeenCalledTimes(4)
    await query.clear()
    await query.getOrLoad(open, load)
    expect(load).toHaveBeenCalledTimes(5)
  })

  test("clearing one user's cache leaves the others'", async () => {
    const { caches, another } = setUp()
    await caches.user<number>('u1').set('a', 1)
    await caches.user<number>('u2').set('a', 2)
    await another().user('u1').clear()
    expect(await caches.user('u1').get('a')).toBeUndefined()
    expect(await caches.user('u2').get('a')).toBe(2)
  })

  test('a wrapped function is called once for the same key', async () => {
    const people = setUp().caches.namespace<Person>('people')
    const find = vi.fn(async (id: number, _reason: string) => (id === 1 ? { name: 'Ada' } : undefined))
    const cachedFind = people.cached(find, { key: id => String(id), ttlMs: 1000 })
    expect(await cachedFind(1, 'a')).toEqual({ name: 'Ada' })
    expect(await cachedFind(1, 'b')).toEqual({ name: 'Ada' })
    expect(await cachedFind(2, 'a')).toBeUndefined()
    expect(find.mock.calls).toEqual([
      [1, 'a'],
      [2, 'a'],
    ])
  })

  test('what happens is counted and published', async () => {
    const { caches } = setUp()
    const cache = caches.namespace<number>('counted')
    const hits = await eventsOf('hit', async () => {
      await cache.get('a')
      await cache.getOrLoad('a', () => 1)
      await cache.get('a')
      await expect(cache.getOrLoad('b', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    })
    expect(hits).toEqual([{ namespace: 'counted', key: 'app:1:counted:k:a' }])
    expect(caches.stats().counted).toMatchObject({ hits: 1, misses: 3, loads: 2, loadErrors: 1, errors: 0 })
  })

  test('every call after close is refused', async () => {
    const { caches } = setUp()
    const cache = caches.namespace<number>('a')
    await caches.close()
    const closed = { code: 'CACHE_CLOSED' }
    await expect(cache.get('k')).rejects.toMatchObject(closed)
    await expect(cache.getMany(['k'])).rejects.toMatchObject(closed)
    await expect(cache.set('k', 1)).rejects.toMatchObject(closed)
    await expect(cache.getOrLoad('k', () => 1)).rejects.toMatchObject(closed)
    await expect(cache.delete('k')).rejects.toMatchObject(closed)
    await expect(cache.invalidateTag('k')).rejects.toMatchObject(closed)
    await expect(cache.clear()).rejects.toMatchObject(closed)
  })
})
