/**
 * Measures the cache without a server: what is at hand against lru-cache, and getOrLoad over the memory store against
 * bentocache and cacheable, all with the same keys and values in the same run. It is a part of cache.ts, and alone:
 * node --conditions=@countersign/source test/bench/cache-memory.ts
 */
import { createCaches } from '@countersign/cache-adapter'
import { memoryStore, nearCache } from '@countersign/cache-adapter/memory'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { Cacheable, createKeyv } from 'cacheable'
import { LRUCache } from 'lru-cache'
import { fast, keyCount, value } from './cache-measure.ts'

type Value = typeof value
type Read = (key: string) => Promise<Value | undefined>

/** One cache with one way to keep values. */
interface Contender {
  readonly title: string
  /** What a hit hands out. */
  readonly hands: 'a copy' | 'one object'
  readonly what: string
  readonly read: Read
}

const rounds = 20
const hits = 10_000
const misses = 1000
const ttlMs = 3_600_000
// Misses are new keys: room for them beside those that are hit.
const room = keyCount + rounds * misses

// A loader that takes no time: what is measured is the cache.
const load = async (): Promise<Value> => ({ ...value })

/** Measures and prints both tables. */
export async function inMemory(): Promise<void> {
  const keys = Array.from({ length: keyCount }, (_, index) => `person:${index}`)
  await atHand(keys)
  await compareCaches(keys)
}

async function atHand(keys: readonly string[]): Promise<void> {
  const caches = createCaches({ store: memoryStore(), prefix: 'bench', schemaVersion: 1 })
  const near = caches.namespace<Value>('near', { ttlMs, near: nearCache({ maxEntries: keyCount, ttlMs }) })
  const lru = new LRUCache<string, Value>({ max: keyCount, ttl: ttlMs })
  const ready = Promise.resolve(value)
  const take = (found: unknown): void => {
    if (found === undefined) throw new Error('a miss')
  }
  for (const key of keys) {
    lru.set(key, value)
    await near.getOrLoad(key, load)
    await near.get(key)
  }
  console.log('\nAt hand in this process, nanoseconds (× lru-cache)       10,000 keys       one hot key')
  const columns = [keys, keys.slice(0, 1)].map(() => new Map<string, number[]>())
  for (let round = 0; round < rounds; round += 1) {
    for (const [column, some] of [keys, keys.slice(0, 1)].entries()) {
      const asked = Array.from({ length: hits }, (_, index) => some[index % some.length] ?? '')
      const keep = async (title: string, run: () => Promise<void> | void): Promise<void> => {
        const start = performance.now()
        await run()
        const times = columns[column]?.get(title) ?? []
        columns[column]?.set(title, [...times, ((performance.now() - start) * 1e6) / hits])
      }
      await keep('lru-cache get', () => {
        for (const key of asked) take(lru.get(key))
      })
      await keep('peek (aim ≤ 5)', () => {
        for (const key of asked) take(near.peek(key))
      })
      await keep('getOrLoad: a promise', async () => {
        for (const key of asked) take(await near.getOrLoad(key, load))
      })
      await keep('awaiting a promise that is ready, and nothing else', async () => {
        for (const _key of asked) take(await ready)
      })
    }
  }
  for (const title of columns[0]?.keys() ?? []) {
    const cells = columns.map(column => {
      const time = fast(column.get(title) ?? [])
      const ratio = time / fast(column.get('lru-cache get') ?? [])
      return `${time.toFixed(0).padStart(8)} (${ratio.toFixed(1).padStart(4)} ×)`
    })
    console.log(`${title.padEnd(52)} ${cells.join('   ')}`)
  }
  await caches.close()
}

async function compareCaches(keys: readonly string[]): Promise<void> {
  const ours = createCaches({ store: memoryStore(), prefix: 'bench', schemaVersion: 1, defaults: { ttlMs } })
  const plain = ours.namespace<Value>('plain')
  const near = ours.namespace<Value>('near', { near: nearCache({ maxEntries: room, ttlMs }) })
  const bento = (serialize: boolean): Read => {
    const driver = memoryDriver({ maxItems: room, serialize })
    const cache = new BentoCache({ default: 'memory', ttl: ttlMs, stores: { memory: bentostore().useL1Layer(driver) } })
    return async key => cache.getOrSet({ key, factory: load })
  }
  const cacheable = (useClone: boolean): Read => {
    const cache = new Cacheable({ ttl: ttlMs, primary: createKeyv({ useClone, lruSize: room }) })
    return async key => cache.getOrSet(key, load)
  }
  const contenders: Contender[] = [
    {
      title: 'ours, memoryStore',
      hands: 'a copy',
      what: 'JSON bytes with checksum and version, a lease for each load',
      read: async key => plain.getOrLoad(key, load),
    },
    { title: 'bentocache', hands: 'a copy', what: 'a JSON string, a lock for each load', read: bento(true) },
    { title: 'cacheable', hands: 'a copy', what: 'a clone of the object', read: cacheable(true) },
    {
      title: 'ours, with nearCache',
      hands: 'one object',
      what: 'deep-frozen, the store behind it',
      read: async key => near.getOrLoad(key, load),
    },
    { title: 'bentocache, serialize off', hands: 'one object', what: 'callers can change it', read: bento(false) },
    { title: 'cacheable, useClone off', hands: 'one object', what: 'callers can change it', read: cacheable(false) },
  ]
  const times = contenders.map(() => ({ hit: [] as number[], miss: [] as number[] }))
  for (const { title, hands, read } of contenders) {
    for (const key of keys) await read(key)
    for (const key of keys) await read(key)
    const isOne = (await read('person:0')) === (await read('person:0'))
    if (isOne !== (hands === 'one object')) throw new Error(`${title} does not hand out ${hands}`)
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { read }] of contenders.entries()) {
      let start = performance.now()
      for (const key of keys) await read(key)
      times[index]?.hit.push(((performance.now() - start) * 1e6) / keyCount)
      start = performance.now()
      for (let miss = 0; miss < misses; miss += 1) await read(`new:${round}:${miss}`)
      times[index]?.miss.push(((performance.now() - start) * 1e6) / misses)
    }
  }
  console.log('\ngetOrLoad in memory, 10,000 keys of 200 bytes, nanoseconds')
  console.log('                               hit (× ours)     miss (× ours)   what a hit hands out')
  for (const [index, { title, hands, what }] of contenders.entries()) {
    // Those that hand out copies are compared with ours that does, and those that share with ours that shares.
    const base = times[contenders.findIndex(one => one.hands === hands)]
    const cell = (kind: 'hit' | 'miss'): string => {
      const time = fast(times[index]?.[kind] ?? [])
      const ratio = time / fast(base?.[kind] ?? [])
      return `${time.toFixed(0).padStart(7)} (${ratio.toFixed(2).padStart(5)} ×)`
    }
    console.log(`${title.padEnd(26)} ${cell('hit')}  ${cell('miss')}   ${hands}: ${what}`)
  }
  await ours.close()
}

if (import.meta.main) await inMemory()
