declare const casBrand: unique symbol

/** Names one state of one stored entry; only the store that made it can read it. */
export interface CasToken {
  readonly [casBrand]: true
}

/** The bytes as they are stored, and the token of this very state. */
export interface StoredEntry {
  readonly value: Uint8Array
  readonly cas: CasToken
}

/** For how long a store keeps an entry. */
export interface StoreOptions {
  /**
   * Milliseconds, at least 1. A store never hands a value out later than this, counted from the call; one that counts
   * whole seconds rounds down (but to no less than one second). It may lose a value at any time before.
   */
  readonly ttlMs: number
}

/** For how long, and under which condition, a store keeps an entry. */
export interface SetOptions extends StoreOptions {
  /** Stores only if the entry is still in this state. */
  readonly ifUnchanged?: CasToken | undefined
}

/** `changed`: another state is stored; `gone`: nothing is. Both only with `ifUnchanged`. */
export type SetResult =
  { readonly stored: true; readonly cas: CasToken } | { readonly stored: false; readonly because: 'changed' | 'gone' }

/**
 * The port to a backend that keeps bytes. It holds no policy: the front decides what to store, for how long, and what a
 * failure means.
 *
 * Keys are 1 to 250 characters of 0x21-0x7e; anything else rejects with `INVALID_CACHE_INPUT` and reaches no server.
 * Every call settles by the store's own deadline. A failed call rejects with a `CacheUnavailableError`; after `close()`
 * every call rejects with `CACHE_CLOSED`. Bytes are copied in and out: changing them afterwards changes nothing stored.
 */
export interface CacheStore {
  /** The largest value in bytes; a larger one rejects with `CACHE_VALUE_TOO_LARGE` and leaves the old value alone. */
  readonly maxValueBytes: number
  /** Reads a batch, answered in the order of `keys`: a miss is undefined, a key whose server failed is an Error. */
  get(keys: readonly string[]): Promise<readonly (StoredEntry | Error | undefined)[]>
  /** Stores an entry in place of what is there; with `ifUnchanged` only over that very state. */
  set(key: string, value: Uint8Array, options: SetOptions): Promise<SetResult>
  /** Stores only if nothing is stored, and resolves to the token of the new entry, or to undefined. */
  add(key: string, value: Uint8Array, options: StoreOptions): Promise<CasToken | undefined>
  /** Resolves to true if something was stored. */
  delete(key: string): Promise<boolean>
  /** Ends the connections; calls that are under way settle. */
  close(): Promise<void>
}
