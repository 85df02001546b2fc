export { memcachedStore, type MemcachedStore, type MemcachedStoreOptions, type ServerState } from './memcached-store.ts'
