export { memorySessionStore, type MemorySessionStoreOptions } from './memory-session-store.ts'
export { nearCache, type NearCacheOptions } from './near-cache.ts'
export { memoryStore, type MemoryStoreOptions } from './memory-store.ts'
