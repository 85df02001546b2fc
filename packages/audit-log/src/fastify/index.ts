export type { RequestRecorder } from '../collection/request.ts'
export type { RequestAuditOptions } from '../collection/served-request.ts'
export { fastifyAudit, type FastifyAuditOptions } from './fastify-audit.ts'
export type { FastifyInstanceLike, FastifyPluginLike, FastifyReplyLike, FastifyRequestLike } from './fastify-like.ts'
