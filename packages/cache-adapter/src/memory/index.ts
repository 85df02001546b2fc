export { memorySessionStore, type MemorySessionStoreOptions } from './memory-session-store.ts'
export { memoryStore, type MemoryStoreOptions } from './memory-store.ts'
