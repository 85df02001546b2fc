import { guardOf } from '../http-guard.ts'
import {
  checkRoutes,
  describeRoutes,
  type GuardedRoute,
  type RouteCheckOptions,
  type RouteProblem,
  type RouteWithGuards,
} from '../http-routes.ts'

/** What this package uses of a router of `@koa/router`. */
export interface KoaRouterLike {
  readonly stack: readonly {
    readonly path: string | RegExp
    readonly methods: readonly string[]
    readonly stack: readonly unknown[]
    match(path: string): boolean
  }[]
}

/**
 * Lists the routes of a router with what each requires.
 *
 * A guard counts where it stands before the handler: on the route itself, or in a `router.use` above it. A guard inside
 * another function, such as one made by koa-compose, is not seen.
 *
 * @param router - A router of `@koa/router`.
 * @returns The routes in the order of their registration; several guards of one route are joined by " and ".
 * @example
 * ```ts
 * import { routeInventory, type KoaRouterLike } from '@countersign/rbac-core/koa'
 *
 * declare const router: KoaRouterLike
 * for (const { method, path, requires } of routeInventory(router)) {
 *   process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
 * }
 * ```
 */
export function routeInventory(router: KoaRouterLike): GuardedRoute[] {
  return describeRoutes(routesOf(router))
}

/**
 * Finds routes that anybody can call and routes that nobody can, for a test that fails on either.
 *
 * @param router - A router of `@koa/router`.
 * @param options.open - The routes that are meant for anybody, such as `GET /health`.
 * @param options.policy - The policy whose roles must be able to pass each guard; without it that is not looked at.
 * @returns The problems; empty when all is well.
 * @throws `INVALID_DEFINITION` when `open` names a route that does not exist, or has a guard.
 * @example
 * ```ts
 * import { routeProblems, type KoaRouterLike } from '@countersign/rbac-core/koa'
 * import { strictEqual } from 'node:assert'
 *
 * declare const router: KoaRouterLike
 * strictEqual(routeProblems(router, { open: ['GET /health'] }).length, 0)
 * ```
 */
export function routeProblems(router: KoaRouterLike, options?: RouteCheckOptions): RouteProblem[] {
  return checkRoutes(routesOf(router), options)
}

function routesOf(router: KoaRouterLike): RouteWithGuards[] {
  const routes: RouteWithGuards[] = []
  router.stack.forEach((layer, position) => {
    const path = String(layer.path)
    const above = router.stack
      .slice(0, position)
      .filter(other => other.methods.length === 0 && typeof layer.path === 'string' && other.match(layer.path))
      .flatMap(other => other.stack)
    // The last of a layer is its handler.
    const guards = [...above, ...layer.stack.slice(0, -1)].flatMap(middleware => guardOf(middleware) ?? [])
    for (const method of layer.methods) routes.push({ method, path, guards })
  })
  return routes
}
