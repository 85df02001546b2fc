import { checkCount, checkMs, checkStorageKey } from '../check.ts'
import { CacheUnavailableError, CacheValueTooLargeError, InvalidCacheInputError } from '../errors.ts'
import { publish } from '../events.ts'
import type { CacheStore, CasToken, SetOptions, SetResult, StoredEntry, StoreOptions } from '../store.ts'
import { parseAddress } from './address.ts'
import type { BreakerState } from './breaker.ts'
import { MemcachedNode } from './node.ts'
import { rendezvous } from './rendezvous.ts'

/** The settings of `memcachedStore`. */
export interface MemcachedStoreOptions {
  /** The servers as host:port. Their order does not matter; every process must name them alike. */
  servers: readonly string[]
  /** SASL credentials for all servers. */
  username?: string | undefined
  password?: string | undefined
  /** Milliseconds in which every call settles, connecting included. Default 250. */
  timeoutMs?: number | undefined
  /** The largest value in bytes; keep it some kilobytes below the server's `-I`. Default 1,000,000. */
  maxValueBytes?: number | undefined
  /** When to stop asking a server that fails. */
  breaker?:
    | {
        /** Failed connections in a row that open it. Default 5. */
        failures?: number | undefined
        /** Milliseconds it stays open at first; doubled with each failed probe. Default 1,000. */
        openMs?: number | undefined
        /** The longest it stays open, in milliseconds. Default 30,000. */
        maxOpenMs?: number | undefined
      }
    | undefined
}

/** The state of one server's breaker: `open` means that it is not asked for now. */
export interface ServerState {
  readonly server: string
  readonly breaker: BreakerState
}

export interface MemcachedStore extends CacheStore {
  /** Tells which servers are asked at present. */
  servers(): readonly ServerState[]
}

/**
 * Keeps a cache in Memcached, through memjs 1.3.2. Each call settles by its deadline, nothing is ever sent twice, a
 * failing server is left alone until one probe finds it back, and adding one of n servers moves 1/n of the keys.
 *
 * @param options - `servers` is required
 * @returns a store for `createCaches`
 * @throws INVALID_CACHE_INPUT for an address, a duration or a bound that makes no sense
 *
 * @example
 * ```ts
 * import { createCaches } from '@countersign/cache-adapter'
 * import { memcachedStore } from '@countersign/cache-adapter/memcached'
 *
 * const store = memcachedStore({ servers: ['10.0.0.1:11211', '10.0.0.2:11211'], timeoutMs: 100 })
 * export const caches = createCaches({ store, prefix: 'app', schemaVersion: 1 })
 * ```
 */
export function memcachedStore(options: MemcachedStoreOptions): MemcachedStore {
  const addresses = options.servers.map(parseAddress)
  const labels = addresses.map(address => address.label)
  if (labels.length === 0 || new Set(labels).size < labels.length) {
    throw new InvalidCacheInputError('servers', 'must name at least one server, and each only once')
  }
  const timeoutMs = checkMs('timeoutMs', options.timeoutMs ?? 250)
  const maxValueBytes = checkCount('maxValueBytes', options.maxValueBytes ?? 1_000_000, 1, 2 ** 30)
  const breaker = {
    failures: checkCount('breaker.failures', options.breaker?.failures ?? 5, 1, 1000),
    openMs: checkMs('breaker.openMs', options.breaker?.openMs ?? 1000),
    maxOpenMs: checkMs('breaker.maxOpenMs', options.breaker?.maxOpenMs ?? 30_000),
  }
  const { username, password } = options
  const onBreaker = (server: string, state: BreakerState): void => {
    publish('breaker', () => ({ server, state }))
  }
  const nodes = addresses.map(
    address => new MemcachedNode(address, { timeoutMs, username, password, breaker, onBreaker }),
  )
  const indexOf = rendezvous(labels)

  function nodeOf(key: string): MemcachedNode {
    return nodes[indexOf(checkStorageKey(key))]!
  }
  function checkValue(value: Uint8Array): void {
    if (value.length > maxValueBytes) throw new CacheValueTooLargeError(value.length, maxValueBytes)
  }

  return {
    maxValueBytes,
    servers: () => nodes.map(node => ({ server: node.label, breaker: node.state })),
    get: async keys => readFrom(keys, nodeOf),
    async set(key: string, value: Uint8Array, { ttlMs, ifUnchanged }: SetOptions): Promise<SetResult> {
      checkValue(value)
      return nodeOf(key).set(key, value, checkMs('ttlMs', ttlMs), ifUnchanged as Uint8Array | undefined)
    },
    async add(key: string, value: Uint8Array, { ttlMs }: StoreOptions): Promise<CasToken | undefined> {
      checkValue(value)
      return nodeOf(key).add(key, value, checkMs('ttlMs', ttlMs))
    },
    async delete(key: string): Promise<boolean> {
      return nodeOf(key).delete(key)
    },
    async close(): Promise<void> {
      for (const node of nodes) node.close()
    },
  }
}

/** Asks each server for its share of the keys, and puts the answers back in the order of the keys. */
async function readFrom(keys: readonly string[], nodeOf: (key: string) => MemcachedNode): Promise<ReadResults> {
  const shares = new Map<MemcachedNode, number[]>()
  keys.forEach((key, position) => {
    const node = nodeOf(key)
    const share = shares.get(node)
    if (share) share.push(position)
    else shares.set(node, [position])
  })
  const [only] = shares.keys()
  if (only && shares.size === 1) return ask(only, keys)
  const results: ReadResults = new Array<undefined>(keys.length).fill(undefined)
  await Promise.all(
    Array.from(shares, async ([node, positions]) => {
      const own = positions.map(position => keys[position]!)
      const found = await ask(node, own)
      positions.forEach((position, index) => (results[position] = found[index]))
    }),
  )
  return results
}

type ReadResults = (StoredEntry | Error | undefined)[]

async function ask(node: MemcachedNode, keys: readonly string[]): Promise<ReadResults> {
  try {
    return await node.get(keys)
  } catch (error) {
    if (!(error instanceof CacheUnavailableError)) throw error
    return keys.map(() => error)
  }
}
