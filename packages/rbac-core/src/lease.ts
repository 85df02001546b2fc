/** Tells whether an access may still be used; many accesses share one. */
export interface Lease {
  readonly stale: boolean
}

/** For an access that somebody resolved from a policy in hand: nothing is known that could change it. */
export const neverStale: Lease = Object.freeze({ stale: false })
