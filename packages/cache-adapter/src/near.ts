/** The port to a small cache in this process, in front of the store: it keeps objects, not bytes. */
export interface NearCache {
  /** The longest time an object is kept, in milliseconds, and so the time for which another process may be ahead. */
  readonly maxMs: number
  /** Returns the object, or undefined once its time is over. */
  get(key: string): unknown
  /** Keeps an object for `ttlMs` milliseconds at most. */
  set(key: string, value: unknown, ttlMs: number): void
  /** Forgets everything. */
  clear(): void
}

/**
 * Keeps the values of one namespace at hand. They are frozen, since all callers share them; what this process
 * invalidates is gone at once, what another process invalidates after `maxMs` at the latest.
 */
export class Near {
  readonly #cache: NearCache
  #generation = 0

  constructor(cache: NearCache) {
    this.#cache = cache
  }

  /** Names the present: a value that was read before a later invalidation is not kept. */
  get generation(): number {
    return this.#generation
  }

  get(key: string): unknown {
    return this.#cache.get(key)
  }

  keep(key: string, value: unknown, leftMs: number, generation: number): void {
    if (generation !== this.#generation || leftMs < 1 || !deepFreeze(value)) return
    this.#cache.set(key, value, Math.min(leftMs, this.#cache.maxMs))
  }

  void(): void {
    this.#generation += 1
    this.#cache.clear()
  }
}

/** Freezes JSON; false for anything else, which freezing would not make safe to share. */
function deepFreeze(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function'
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false
  for (const part of Object.values(value)) if (!deepFreeze(part)) return false
  Object.freeze(value)
  return true
}
