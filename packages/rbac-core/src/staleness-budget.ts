import { InvalidDefinitionError } from './errors.ts'
import type { Kept } from './kept-entries.ts'
import type { Leases } from './lease.ts'

/** How the one bound on staleness is divided. All times count from the start of a load. */
export interface StalenessBudget {
  /** A load that takes longer fails. */
  readonly loadMs: number
  /** How long the shared cache keeps a record; 0 when there is none. */
  readonly sharedMs: number
  /** How long this process uses what came straight from the store. */
  readonly fromStoreMs: number
  /** How long this process uses what came through the shared cache, where it may have been for `sharedMs`. */
  readonly fromCacheMs: number
}

const shortestBoundMs = 100
const longestBoundMs = 24 * 3_600_000
const longestLoadMs = 5000
/** Memcached counts whole seconds, so a share of less than one would be none. */
const shortestSharedBoundMs = 3000

/** Divides the bound. Throws `INVALID_DEFINITION`. */
export function stalenessBudget(maxStalenessMs: number, options: { shared: boolean }): StalenessBudget {
  if (!(maxStalenessMs >= shortestBoundMs && maxStalenessMs <= longestBoundMs)) {
    const expected = `expected milliseconds from ${shortestBoundMs} to ${longestBoundMs}, not ${String(maxStalenessMs)}`
    throw new InvalidDefinitionError('maxStalenessMs', expected)
  }
  const loadMs = Math.min(longestLoadMs, maxStalenessMs / 3)
  const shared = options.shared && maxStalenessMs >= shortestSharedBoundMs
  const sharedMs = shared ? Math.floor((maxStalenessMs - loadMs) / 2000) * 1000 : 0
  const fromCacheMs = maxStalenessMs - loadMs - sharedMs
  return { loadMs, sharedMs, fromStoreMs: maxStalenessMs, fromCacheMs }
}

/**
 * Tells how long something may be used whose load began at `start`. It is handed out anew for three quarters of its
 * life, so that a request gets at least the last quarter to finish on it.
 */
export function keptFor(leases: Leases, start: number, lifetimeMs: number): Omit<Kept, 'version'> {
  return { reuseUntil: start + lifetimeMs * 0.75, staleAt: leases.endBefore(start + lifetimeMs) }
}
