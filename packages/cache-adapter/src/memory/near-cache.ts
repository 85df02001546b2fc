import { LRUCache } from 'lru-cache'
import { checkCount, checkMs } from '../check.ts'
import type { NearCache } from '../near.ts'

/** The settings of `nearCache`. */
export interface NearCacheOptions {
  /** Values kept; the least recently used go first. Default 1,000. */
  maxEntries?: number | undefined
  /** Milliseconds a value is kept: for so long another process's change may stay unseen. Default 1,000. */
  ttlMs?: number | undefined
}

/**
 * Keeps values of one namespace as frozen objects in this process, in front of its store: for what is read on every
 * request and may be a second old, such as feature flags.
 *
 * @param options - the bounds
 * @returns what `namespace(name, { near })` and `createCaches({ app: { near } })` take; one for each namespace
 * @throws INVALID_CACHE_INPUT for a bound that cannot be
 *
 * @example
 * ```ts
 * import { createCaches } from '@countersign/cache-adapter'
 * import { memoryStore, nearCache } from '@countersign/cache-adapter/memory'
 *
 * const caches = createCaches({ store: memoryStore(), prefix: 'app', schemaVersion: 1 })
 * const flags = caches.namespace<boolean>('flags', { near: nearCache({ ttlMs: 500 }) })
 * export const isOn = flags.peek('dark-mode') ?? (await flags.getOrLoad('dark-mode', () => true))
 * ```
 */
export function nearCache(options: NearCacheOptions = {}): NearCache {
  const max = checkCount('maxEntries', options.maxEntries ?? 1000, 1, 10_000_000)
  const maxMs = checkMs('ttlMs', options.ttlMs ?? 1000)
  const cache = new LRUCache<string, { readonly value: unknown }>({ max, ttl: Math.max(1, Math.floor(maxMs)) })
  return {
    maxMs,
    get: key => cache.get(key)?.value,
    set: (key, value, ttlMs) => void cache.set(key, { value }, { ttl: Math.max(1, Math.floor(ttlMs)) }),
    clear: () => {
      cache.clear()
    },
  }
}
