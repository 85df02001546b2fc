export { koaAccess, type AccessSource, type KoaAccessOptions } from './access.ts'
export { koaGuards, type KoaGuard, type KoaGuardOptions, type KoaGuards } from './guards.ts'
export { guardOf } from './guard-of.ts'
export type { KoaContextLike, KoaMiddlewareLike, KoaRouteContextLike } from './koa-like.ts'
export {
  routeInventory,
  routeProblems,
  type GuardedRoute,
  type KoaRouterLike,
  type RouteProblem,
} from './route-inventory.ts'
