export type { AccessSource, HttpAccessOptions } from '../http-access.ts'
export { guardKey, guardOf, type HttpGuardOptions, type HttpGuards } from '../http-guard.ts'
export type { GuardedRoute, RouteCheckOptions, RouteProblem } from '../http-routes.ts'
export { fastifyAccess, type FastifyAccessOptions } from './access.ts'
export type {
  FastifyHookLike,
  FastifyInstanceLike,
  FastifyPluginLike,
  FastifyReplyLike,
  FastifyRequestLike,
  FastifyRouteRequestLike,
} from './fastify-like.ts'
export { fastifyGuards, type FastifyGuard, type FastifyGuardOptions, type FastifyGuards } from './guards.ts'
export { watchRoutes, type FastifyRouteLike, type FastifyRoutesLike, type WatchedRoutes } from './route-inventory.ts'
