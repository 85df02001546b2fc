/** The time in milliseconds since 1970; a test can bring its own. */
export interface Clock {
  now(): number
}

export const systemClock: Clock = Date
