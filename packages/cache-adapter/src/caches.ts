import { NamespaceCache, type Cache } from './cache.ts'
import { checkCount } from './check.ts'
import { systemClock, type Clock } from './clock.ts'
import { ValueCodec, type StandardSchema } from './codec.ts'
import { CacheClosedError } from './errors.ts'
import { Flights } from './flight.ts'
import { Invalidations } from './invalidations.ts'
import { checkName, digest, keyBase } from './key.ts'
import type { Realm } from './lookup.ts'
import type { LoadOptions } from './options.ts'
import type { NearCache } from './near.ts'
import { createQueryCache, type QueryCache } from './query-cache.ts'
import { Reader } from './reader.ts'
import { Recorder, type CacheStats } from './stats.ts'
import type { CacheStore } from './store.ts'

/** The settings of `createCaches`. */
export interface CachesOptions {
  /** Where the bytes are kept. */
  store: CacheStore
  /** Sets this application's keys apart on a shared server: 1 to 64 characters of A-Z a-z 0-9 _ . - */
  prefix: string
  /** Raise it when the shape of cached values changes: old and new processes then do not read each other's. 0 to 999,999. */
  schemaVersion: number
  /** What holds for every namespace that does not say otherwise. */
  defaults?: LoadOptions | undefined
  /** What holds for `caches.app`; with `near`, hot values are kept at hand in this process. */
  app?: NamespaceOptions<unknown> | undefined
  /** The time; a test can bring its own. Default the system's. */
  clock?: Clock | undefined
}

export interface NamespaceOptions<V> extends LoadOptions {
  /** Checks, and may convert, every value that is read; what does not fit is loaded again. Any Standard Schema. */
  schema?: StandardSchema<V> | undefined
  /** Keeps hot values at hand in this process, frozen, for up to its `maxMs`; one for each namespace. */
  near?: NearCache | undefined
}

/** All caches of an application, over one store. */
export interface Caches {
  /** Opens a typed namespace: 1 to 64 characters of A-Z a-z 0-9 _ . - */
  namespace<V>(name: string, options?: NamespaceOptions<V>): Cache<V>
  /** Results of queries, by name and parameters, voided by table. */
  readonly query: QueryCache
  /** What is known about one user; its `clear()` is one write and holds for all processes. */
  user<V = unknown>(userId: string): Cache<V>
  /** What belongs to the application as a whole. */
  readonly app: Cache<unknown>
  /** Counts since the start, by namespace. */
  stats(): Readonly<Record<string, CacheStats>>
  /** Ends the connections; every later call rejects with CACHE_CLOSED. */
  close(): Promise<void>
}

/**
 * Makes the caches of an application over one store.
 *
 * A value is never served later than `ttlMs` after the start of its load (plus `graceMs` if given). The bound is kept by
 * the wall clock of the hosts, and by the store's own clock in case theirs differ.
 *
 * @param options - `store`, `prefix` and `schemaVersion` are required
 * @returns namespaces, and the caches for queries, users and the application
 * @throws INVALID_CACHE_INPUT for a prefix, version or default that cannot be
 *
 * @example
 * ```ts
 * import { createCaches } from '@countersign/cache-adapter'
 * import { memoryStore } from '@countersign/cache-adapter/memory'
 *
 * interface Person {
 *   name: string
 * }
 * declare function loadPerson(id: string): Promise<Person | undefined>
 *
 * const caches = createCaches({ store: memoryStore(), prefix: 'app', schemaVersion: 1 })
 * const people = caches.namespace<Person>('people')
 * export const person = await people.getOrLoad('42', () => loadPerson('42'), { ttlMs: 60_000, tags: ['team:7'] })
 * await people.invalidateTag('team:7')
 * ```
 */
export function createCaches(options: CachesOptions): Caches {
  const { store, clock = systemClock } = options
  const prefix = checkName('prefix', options.prefix)
  const schemaVersion = checkCount('schemaVersion', options.schemaVersion, 0, 999_999)
  const reader = new Reader(store)
  const flights = new Flights()
  const invalidations = new Invalidations(store)
  const recorders = new Map<string, Recorder>()
  let closed = false

  function assertOpen(): void {
    if (closed) throw new CacheClosedError()
  }
  function recorderOf(name: string): Recorder {
    const recorder = recorders.get(name) ?? new Recorder(name)
    recorders.set(name, recorder)
    return recorder
  }
  function open<V>(name: string, recorder: Recorder, own: NamespaceOptions<V> = {}): Cache<V> {
    const { schema, near, ...defaults } = own
    const codec = new ValueCodec(schema)
    const base = keyBase(prefix, schemaVersion, name)
    const realm: Realm = {
      base,
      versionKey: `${base}v`,
      store,
      reader,
      clock,
      flights,
      invalidations,
      recorder,
      codec,
      assertOpen,
    }
    return new NamespaceCache<V>(realm, { ...options.defaults, ...defaults }, near)
  }
  // Names with ~ cannot be those of an application.
  function ofFamily<V>(family: string, member = '', own?: NamespaceOptions<V>): Cache<V> {
    return open<V>(`~${family}${member}`, recorderOf(`~${family}`), own)
  }

  return {
    namespace: <V>(name: string, own?: NamespaceOptions<V>) =>
      open<V>(checkName('namespace', name), recorderOf(name), own),
    query: createQueryCache(ofFamily('query')),
    user: <V>(userId: string) => ofFamily<V>('user', `.${digest(userId)}`),
    app: ofFamily('app', '', options.app),
    stats: () => Object.fromEntries(Array.from(recorders, ([name, recorder]) => [name, recorder.stats()])),
    async close(): Promise<void> {
      closed = true
      invalidations.close()
      await store.close()
    },
  }
}
