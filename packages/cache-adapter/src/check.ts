import { InvalidCacheInputError } from './errors.ts'

const maxMs = 365 * 24 * 3_600_000

/** Checks a duration: more than zero, finite, at most a year. */
export function checkMs(field: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= maxMs) return value
  throw new InvalidCacheInputError(field, `must be a number of milliseconds above 0 and at most ${maxMs} (a year)`)
}

/** Checks a duration that may also be zero. */
export function checkMsOrZero(field: string, value: unknown): number {
  return value === 0 ? 0 : checkMs(field, value)
}

/** Checks a whole number within bounds. */
export function checkCount(field: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new InvalidCacheInputError(field, `must be a whole number from ${min} to ${max}`)
}

const storable = /^[\x21-\x7e]{1,250}$/

/** Checks a key at the port; memcached closes the connection on anything else. */
export function checkStorageKey(key: unknown): string {
  if (typeof key === 'string' && storable.test(key)) return key
  throw new InvalidCacheInputError('key', 'must be 1 to 250 characters of 0x21-0x7e at the store')
}
