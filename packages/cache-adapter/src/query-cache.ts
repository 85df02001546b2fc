import type { Cache } from './cache.ts'
import type { LoadContext } from './load.ts'
import type { LoadOptions } from './options.ts'

/** A query by its name, its parameters and the tables it reads. */
export interface CachedQuery {
  /** Names the statement; two statements never share a name. */
  readonly name: string
  /** Everything the result depends on; JSON. Default none. */
  readonly params?: unknown
  /** The tables whose changes void the result; at most 32. */
  readonly tables: readonly string[]
}

/** Keeps results of queries, voided by the tables they read. */
export interface QueryCache {
  /** Answers a query from the cache, or runs it and keeps its result; see `Cache.getOrLoad`. */
  getOrLoad<R>(
    query: CachedQuery,
    load: (context: LoadContext<R>) => Promise<R | undefined> | R | undefined,
    options?: Omit<LoadOptions, 'tags'>,
  ): Promise<R | undefined>
  /** Voids every result that reads the table: call it after the commit that changed it. */
  invalidateTable(table: string): Promise<void>
  /** Voids every result. */
  clear(): Promise<void>
}

export function createQueryCache(cache: Cache<unknown>): QueryCache {
  return {
    async getOrLoad<R>(
      { name, params = null, tables }: CachedQuery,
      load: (context: LoadContext<R>) => Promise<R | undefined> | R | undefined,
      options?: Omit<LoadOptions, 'tags'>,
    ): Promise<R | undefined> {
      // As one JSON value: joining the parts would let two queries share a key.
      const key = JSON.stringify([name, params], sortedKeys)
      const loader = load as (context: LoadContext<unknown>) => Promise<unknown>
      return (await cache.getOrLoad(key, loader, { ...options, tags: tables })) as R | undefined
    },
    invalidateTable: table => cache.invalidateTag(table),
    clear: () => cache.clear(),
  }
}

/** Makes the order in which an object was written irrelevant. */
function sortedKeys(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
