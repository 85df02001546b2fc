export { createCaches, type Caches, type CachesOptions, type NamespaceOptions } from './caches.ts'
export type { Cache } from './cache.ts'
export type { Clock } from './clock.ts'
export type { StandardSchema } from './codec.ts'
export {
  CacheClosedError,
  CacheError,
  CacheUnavailableError,
  CacheValueTooLargeError,
  InvalidCacheInputError,
  LoadDeadlockError,
  LoadTimeoutError,
  type CacheErrorCode,
} from './errors.ts'
export type { CacheEvents } from './events.ts'
export type { LoadContext } from './load.ts'
export type { NearCache } from './near.ts'
export type { EntryOptions, LoadOptions } from './options.ts'
export type { CachedQuery, QueryCache } from './query-cache.ts'
export { createSessions, type NewSession, type Session, type Sessions, type SessionsOptions } from './session.ts'
export type { SessionData, SessionRecord, SessionStore } from './session-store.ts'
export type { CacheStats } from './stats.ts'
export type { CacheStore, CasToken, SetOptions, SetResult, StoredEntry, StoreOptions } from './store.ts'
