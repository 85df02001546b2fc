export type { RequestRecorder } from '../collection/request.ts'
export { expressAudit, type ExpressAuditOptions } from './express-audit.ts'
export type { ExpressMiddlewareLike, ExpressRequestLike } from './express-like.ts'
