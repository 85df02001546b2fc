export type { RequestRecorder } from '../collection/request.ts'
export type { RequestAuditOptions } from '../collection/served-request.ts'
export { honoAudit, type HonoAuditOptions } from './hono-audit.ts'
export type { HonoContextLike, HonoMiddlewareLike } from './hono-like.ts'
