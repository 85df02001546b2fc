import { invalidOption, wholeNumber } from './errors.ts'

/** Says how often a task is tried and how long it rests in between. */
export interface RetryPolicy {
  /** How many times the handler is called at most, the first time included. */
  readonly attempts: number
  /** How long to wait after this attempt (counted from 1) failed, in milliseconds. */
  delayMs(attempt: number): number
}

/** The settings of {@link backoff}. */
export interface BackoffOptions {
  /** Calls of the handler at most, the first included. */
  attempts: number
  /** The first delay in milliseconds. */
  firstMs: number
  /** By how much each delay is longer than the one before. @defaultValue `2` */
  factor?: number | undefined
  /** The longest delay in milliseconds. @defaultValue one hour */
  maxMs?: number | undefined
  /** How many retries come at once, before the first delay. @defaultValue `0` */
  immediate?: number | undefined
}

export const longestDelayMs: number = 366 * 24 * 3_600_000

/**
 * Makes a retry policy whose delays grow by a factor.
 *
 * @param options - `attempts` counts every call of the handler; delays are in milliseconds
 * @returns the policy for `defineTask`'s or `defineEvent`'s `retry`
 * @throws QueueError `INVALID_OPTION` for a number out of its range
 * @example
 * ```ts
 * import { backoff } from '@countersign/queue-adapter'
 *
 * // Two retries at once, then after 1, 4 and 16 seconds; then the task is dead.
 * const retry = backoff({ attempts: 6, immediate: 2, firstMs: 1000, factor: 4 })
 * ```
 */
export function backoff(options: BackoffOptions): RetryPolicy {
  const { factor = 2, immediate = 0, maxMs = 3_600_000 } = options
  const attempts = wholeNumber('attempts', options.attempts, { min: 1, max: 1000 })
  const firstMs = wholeNumber('firstMs', options.firstMs, { min: 0, max: longestDelayMs })
  wholeNumber('immediate', immediate, { min: 0, max: 1000 })
  wholeNumber('maxMs', maxMs, { min: 0, max: longestDelayMs })
  if (!(factor >= 1 && factor <= 100)) throw invalidOption('factor', 'a number from 1 to 100', factor)
  return {
    attempts,
    delayMs: attempt =>
      attempt <= immediate ? 0 : Math.min(maxMs, Math.round(firstMs * factor ** (attempt - immediate - 1))),
  }
}
