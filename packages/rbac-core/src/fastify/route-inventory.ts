import { guardOf } from '../http-guard.ts'
import {
  checkRoutes,
  describeRoutes,
  type GuardedRoute,
  type RouteCheckOptions,
  type RouteProblem,
  type RouteWithGuards,
} from '../http-routes.ts'

/** What this package reads of a route that Fastify announces. */
export interface FastifyRouteLike {
  readonly method: string | readonly string[]
  readonly url: string
  readonly onRequest?: unknown
  readonly preValidation?: unknown
  readonly preHandler?: unknown
}

/** An instance that announces its routes. */
export interface FastifyRoutesLike {
  addHook(name: 'onRoute', hook: (route: FastifyRouteLike) => void): unknown
}

/** The routes that were registered since, with what they require. */
export interface WatchedRoutes {
  /** Lists the routes in the order of their registration; several guards of one route are joined by " and ". */
  readonly routeInventory: () => GuardedRoute[]
  /** Finds routes that anybody can call and routes that nobody can. Throws `INVALID_DEFINITION` as `open` is wrong. */
  readonly routeProblems: (options?: RouteCheckOptions) => RouteProblem[]
}

/**
 * Lists the routes of a Fastify application, those of plugins too, with what each requires.
 *
 * Fastify tells its routes while they are registered and not afterwards, so call it before. Guards in the route's own
 * `onRequest`, `preValidation` and `preHandler` count. Fastify does not tell those that `addHook` gave to all routes of a
 * plugin: such a route is listed as open, never the other way round.
 *
 * @param app - The application, before its routes are registered.
 * @returns The inventory and its check, complete once the application is ready.
 * @example
 * ```ts
 * import { watchRoutes } from '@countersign/rbac-core/fastify'
 * import Fastify from 'fastify'
 * import { strictEqual } from 'node:assert'
 *
 * const app = Fastify()
 * const { routeProblems } = watchRoutes(app)
 * app.get('/health', () => 'up')
 * await app.ready()
 * strictEqual(routeProblems({ open: ['GET /health'] }).length, 0)
 * ```
 */
export function watchRoutes(app: FastifyRoutesLike): WatchedRoutes {
  const routes: RouteWithGuards[] = []
  app.addHook('onRoute', ({ method, url, onRequest, preValidation, preHandler }) => {
    const guards = [onRequest, preValidation, preHandler].flat().flatMap(hook => guardOf(hook) ?? [])
    for (const each of [method].flat()) routes.push({ method: each, path: url, guards })
  })
  return {
    routeInventory: () => describeRoutes(routes),
    routeProblems: options => checkRoutes(routes, options),
  }
}
