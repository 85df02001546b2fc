import { describe, expect, test } from 'vitest'
import { parseAddress } from '../src/memcached/address.ts'
import { memcachedStore } from '../src/memcached/index.ts'
import { rendezvous } from '../src/memcached/rendezvous.ts'

const labels = ['10.0.0.1:11211', '10.0.0.2:11211', '10.0.0.3:11211', '10.0.0.4:11211']
const keys = Array.from({ length: 20_000 }, (_, index) => `app:1:people:k:${index}`)

describe('spreading keys over servers', () => {
  test('each server gets its share', () => {
    const indexOf = rendezvous(labels)
    const counts = labels.map(() => 0)
    for (const key of keys) counts[indexOf(key)]! += 1
    for (const count of counts) expect(count / keys.length).toBeCloseTo(0.25, 1)
  })

  test('adding the fourth server moves a quarter of the keys, all of them to it', () => {
    const before = rendezvous(labels.slice(0, 3))
    const after = rendezvous(labels)
    const moved = keys.filter(key => before(key) !== after(key))
    expect(moved.length / keys.length).toBeGreaterThan(0.23)
    expect(moved.length / keys.length).toBeLessThan(0.27)
    expect(moved.every(key => after(key) === 3)).toBe(true)
  })

  test('the order in which the servers are named does not matter', () => {
    const forwards = rendezvous(labels)
    const backwards = rendezvous([...labels].reverse())
    expect(keys.every(key => forwards(key) === 3 - backwards(key))).toBe(true)
  })
})

describe('addresses', () => {
  test.each([
    ['localhost', 'localhost', 11211],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['[::1]:11212', '::1', 11212],
    ['[::1]', '::1', 11211],
    ['cache.example.org:65535', 'cache.example.org', 65535],
  ])('%s is read', (text, host, port) => {
    expect(parseAddress(text)).toMatchObject({ host, port })
  })

  test.each(['', ':11211', 'host:', 'host:0', 'host:65536', 'a b', 'user:pass@host', '::1', 'http://host', 5, null])(
    '%j is refused',
    text => {
      const refusal = expect.objectContaining({ code: 'INVALID_CACHE_INPUT', field: 'servers' }) as Error
      expect(() => memcachedStore({ servers: [text as string] })).toThrow(refusal)
    },
  )

  test('no server, or one twice, is refused', () => {
    const refusal = expect.objectContaining({ code: 'INVALID_CACHE_INPUT' }) as Error
    expect(() => memcachedStore({ servers: [] })).toThrow(refusal)
    expect(() => memcachedStore({ servers: ['a', 'a:11211'] })).toThrow(refusal)
  })
})
