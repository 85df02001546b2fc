export {
  genid,
  koaSessionStore,
  type KoaSessionCallLike,
  type KoaSessionContextLike,
  type KoaSessionStore,
  type KoaSessionStoreOptions,
} from './session-store.ts'
