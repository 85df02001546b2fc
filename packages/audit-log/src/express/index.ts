export type { RequestRecorder } from '../collection/request.ts'
export type { RequestAuditOptions } from '../collection/served-request.ts'
export { expressAudit, type ExpressAuditOptions } from './express-audit.ts'
export type { ExpressMiddlewareLike, ExpressRequestLike } from './express-like.ts'
