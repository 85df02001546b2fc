export type { RequestRecorder } from '../collection/request.ts'
export type { RequestAuditOptions } from '../collection/served-request.ts'
export { koaAudit, type KoaAuditOptions } from './koa-audit.ts'
export type { KoaContextLike, KoaMiddlewareLike } from './koa-like.ts'
