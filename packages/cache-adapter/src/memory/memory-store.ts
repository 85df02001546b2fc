import { LRUCache } from 'lru-cache'
import { checkCount, checkMs, checkStorageKey } from '../check.ts'
import { CacheClosedError, CacheValueTooLargeError } from '../errors.ts'
import type { CacheStore, CasToken, SetOptions, SetResult, StoredEntry, StoreOptions } from '../store.ts'

/** The settings of `memoryStore`. */
export interface MemoryStoreOptions {
  /** Bytes of keys and values kept; the least recently used go first. Default 67,108,864 (64 MiB). */
  maxBytes?: number | undefined
  /** The largest value in bytes. Default 1,000,000, as memcached's. */
  maxValueBytes?: number | undefined
  /** A clock in milliseconds that never goes back. Default `performance.now`. */
  now?: (() => number) | undefined
}

interface Item {
  readonly value: Uint8Array
  readonly cas: CasToken
  readonly expiresAt: number
}

// What an entry takes beside its bytes, roughly.
const overheadBytes = 128

/**
 * Keeps a cache in the memory of this process: for one process, for tests, and as the default where no Memcached is set.
 *
 * @param options - the bounds
 * @returns a store for `createCaches`
 * @throws INVALID_CACHE_INPUT for a bound that is no whole number
 *
 * @example
 * ```ts
 * import { createCaches } from '@countersign/cache-adapter'
 * import { memoryStore } from '@countersign/cache-adapter/memory'
 *
 * export const caches = createCaches({ store: memoryStore({ maxBytes: 16_000_000 }), prefix: 'app', schemaVersion: 1 })
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): CacheStore {
  const maxValueBytes = checkCount('maxValueBytes', options.maxValueBytes ?? 1_000_000, 1, 2 ** 30)
  const maxBytes = checkCount('maxBytes', options.maxBytes ?? 64 * 1024 * 1024, maxValueBytes, 2 ** 40)
  const now = options.now ?? (() => performance.now())
  const items = new LRUCache<string, Item>({
    maxSize: maxBytes,
    sizeCalculation: (item, key) => overheadBytes + key.length + item.value.length,
  })
  let closed = false
  let lastCas = 0

  function find(key: string): Item | undefined {
    const item = items.get(checkStorageKey(key))
    if (!item || now() < item.expiresAt) return item
    items.delete(key)
    return undefined
  }
  function store(key: string, value: Uint8Array, ttlMs: number): CasToken {
    if (value.length > maxValueBytes) throw new CacheValueTooLargeError(value.length, maxValueBytes)
    const cas = { number: (lastCas += 1) } as unknown as CasToken
    items.set(key, { value: Uint8Array.from(value), cas, expiresAt: now() + checkMs('ttlMs', ttlMs) })
    return cas
  }
  function open(): void {
    if (closed) throw new CacheClosedError()
  }

  return {
    maxValueBytes,
    async get(keys: readonly string[]): Promise<(StoredEntry | undefined)[]> {
      open()
      return keys.map(key => {
        const item = find(key)
        return item && { value: Uint8Array.from(item.value), cas: item.cas }
      })
    },
    async set(key: string, value: Uint8Array, { ttlMs, ifUnchanged }: SetOptions): Promise<SetResult> {
      open()
      const old = find(key)
      if (ifUnchanged && old?.cas !== ifUnchanged) return { stored: false, because: old ? 'changed' : 'gone' }
      return { stored: true, cas: store(key, value, ttlMs) }
    },
    async add(key: string, value: Uint8Array, { ttlMs }: StoreOptions): Promise<CasToken | undefined> {
      open()
      return find(key) ? undefined : store(key, value, ttlMs)
    },
    async delete(key: string): Promise<boolean> {
      open()
      return find(key) !== undefined && items.delete(key)
    },
    async close(): Promise<void> {
      closed = true
      items.clear()
    },
  }
}
