// Of the whole process, so that two copies of this package know each other's errors.
const marker: unique symbol = Symbol.for('countersign.cache-adapter.error')

/** The stable names of this package's errors. */
export type CacheErrorCode =
  | 'INVALID_CACHE_INPUT'
  | 'CACHE_VALUE_TOO_LARGE'
  | 'CACHE_UNAVAILABLE'
  | 'CACHE_CLOSED'
  | 'LOAD_TIMEOUT'
  | 'LOAD_DEADLOCK'

/** Base of every error this package makes; `code` says which. */
export class CacheError extends Error {
  override readonly name: string = 'CacheError'
  readonly code: CacheErrorCode
  constructor(code: CacheErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    Object.defineProperty(this, marker, { value: true })
  }

  /** Tells whether `value` is an error of this package, also of another copy or version of it. */
  static isInstance(value: unknown): value is CacheError {
    return typeof value === 'object' && value !== null && marker in value
  }
}

/** A name, key, value or option that the cache cannot take; `field` says which one. */
export class InvalidCacheInputError extends CacheError {
  override readonly name = 'InvalidCacheInputError'
  readonly field: string

  constructor(field: string, expected: string, options?: ErrorOptions) {
    super('INVALID_CACHE_INPUT', `${field} ${expected}`, options)
    this.field = field
  }
}

/** A value that is refused before it is sent, because the server would drop the old value with it. */
export class CacheValueTooLargeError extends CacheError {
  override readonly name = 'CacheValueTooLargeError'
  readonly bytes: number
  readonly maxBytes: number

  constructor(bytes: number, maxBytes: number) {
    super('CACHE_VALUE_TOO_LARGE', `the value takes ${bytes} bytes, and the store keeps at most ${maxBytes}`)
    this.bytes = bytes
    this.maxBytes = maxBytes
  }
}

/** The store could not be asked, or did not answer in time; whether a write arrived is unknown. */
export class CacheUnavailableError extends CacheError {
  override readonly name = 'CacheUnavailableError'
  /** Which server, as host:port. */
  readonly server: string

  constructor(server: string, message: string, options?: ErrorOptions) {
    super('CACHE_UNAVAILABLE', `${server}: ${message}`, options)
    this.server = server
  }
}

/** The cache was used after `close()`. */
export class CacheClosedError extends CacheError {
  override readonly name = 'CacheClosedError'

  constructor() {
    super('CACHE_CLOSED', 'the cache is closed')
  }
}

/** A loader did not settle by its deadline. */
export class LoadTimeoutError extends CacheError {
  override readonly name = 'LoadTimeoutError'
  readonly key: string
  readonly timeoutMs: number

  constructor(key: string, timeoutMs: number) {
    super('LOAD_TIMEOUT', `the loader of ${key} did not settle within ${timeoutMs} ms`)
    this.key = key
    this.timeoutMs = timeoutMs
  }
}

/** A loader waits, directly or through other loaders, for the value it is loading itself. */
export class LoadDeadlockError extends CacheError {
  override readonly name = 'LoadDeadlockError'
  /** The keys that wait for each other, in order. */
  readonly keys: readonly string[]

  constructor(keys: readonly string[]) {
    super('LOAD_DEADLOCK', `loaders wait for each other: ${keys.join(' → ')}`)
    this.keys = keys
  }
}
