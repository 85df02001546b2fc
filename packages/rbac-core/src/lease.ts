/** Tells whether an access may still be used; many accesses share one. */
export interface Lease {
  readonly stale: boolean
}

/** For an access that somebody resolved from a policy in hand: nothing is known that could change it. */
export const neverStale: Lease = Object.freeze({ stale: false })

/**
 * Ends accesses on time with one timer, so that no check reads a clock.
 *
 * Ends are rounded down to a grid, one step more than needed since the timer may be a step late. All accesses that end
 * together share one lease: the number of leases is bounded by the bound on staleness, however many accesses there are.
 */
export class Leases {
  readonly #gridMs: number
  readonly #running = new Map<number, { stale: boolean }>()
  #timer: NodeJS.Timeout | undefined

  constructor(longestMs: number) {
    this.#gridMs = Math.min(50, Math.max(1, longestMs / 100))
  }

  /** Rounds a time of the monotonic clock down to when a lease can end, so that its end is noticed in time. */
  endBefore(time: number): number {
    return (Math.floor(time / this.#gridMs) - 1) * this.#gridMs
  }

  /** Returns the lease that ends at `end`, which `endBefore` gave. */
  until(end: number): Lease {
    let lease = this.#running.get(end)
    if (lease === undefined) this.#running.set(end, (lease = { stale: false }))
    this.#timer ??= setInterval(() => this.#endDue(), this.#gridMs).unref()
    return lease
  }

  /** Ends every lease: nothing would end them later. */
  close(): void {
    this.#endDue(Infinity)
  }

  #endDue(now = performance.now()): void {
    for (const [end, lease] of this.#running) {
      if (end > now) continue
      lease.stale = true
      this.#running.delete(end)
    }
    if (this.#running.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
