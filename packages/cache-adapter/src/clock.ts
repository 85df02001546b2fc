/** The time in milliseconds since 1970; a test can bring its own. */
export interface Clock {
  /** Returns milliseconds since 1970. */
  now(): number
}

export const systemClock: Clock = Date
