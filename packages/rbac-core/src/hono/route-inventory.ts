import { guardOf } from '../http-guard.ts'
import {
  checkRoutes,
  describeRoutes,
  type GuardedRoute,
  type RouteCheckOptions,
  type RouteProblem,
  type RouteWithGuards,
} from '../http-routes.ts'

/** What this package reads of a Hono application. */
export interface HonoRoutesLike {
  readonly routes: readonly {
    readonly method: string
    readonly path: string
    readonly handler: (...args: never) => unknown
  }[]
}

/**
 * Lists the routes of a Hono application, those that `route` took in too, with what each requires.
 *
 * A guard counts where it stands before the handler: on the route itself, or in a `use` above it whose path begins the
 * route's path, letter by letter. A guard inside another function is not seen. What takes two arguments is held for
 * middleware unless it is the last of a route, and always in `use` and `all`, which Hono keeps alike.
 *
 * @param app - The application.
 * @returns The routes in the order of their registration; several guards of one route are joined by " and ".
 * @example
 * ```ts
 * import { routeInventory } from '@countersign/rbac-core/hono'
 * import { Hono } from 'hono'
 *
 * const app = new Hono()
 * app.get('/health', c => c.text('up'))
 * routeInventory(app) // => [{ method: 'GET', path: '/health', requires: undefined }]
 * ```
 */
export function routeInventory(app: HonoRoutesLike): GuardedRoute[] {
  return describeRoutes(routesOf(app))
}

/**
 * Finds routes that anybody can call and routes that nobody can, for a test that fails on either.
 *
 * @param app - The application.
 * @param options - The routes that are meant for anybody, and the policy that must be able to pass the others.
 * @returns The problems; empty when all is well.
 * @throws `INVALID_DEFINITION` when `open` names a route that does not exist, or has a guard.
 * @example
 * ```ts
 * import { routeProblems } from '@countersign/rbac-core/hono'
 * import { Hono } from 'hono'
 *
 * const app = new Hono()
 * app.get('/health', c => c.text('up'))
 * routeProblems(app, { open: ['GET /health'] }) // => []
 * ```
 */
export function routeProblems(app: HonoRoutesLike, options?: RouteCheckOptions): RouteProblem[] {
  return checkRoutes(routesOf(app), options)
}

type Handler = HonoRoutesLike['routes'][number]['handler']

function routesOf({ routes }: HonoRoutesLike): RouteWithGuards[] {
  const entries = routes.map(route => ({ ...route, handler: targetOf(route.handler) }))
  return entries.flatMap(({ method, path, handler }, position) => {
    const isSame = (other: { method: string; path: string }): boolean => other.method === method && other.path === path
    const isLast = method !== 'ALL' && !entries.slice(position + 1).some(isSame)
    if (guardOf(handler) || (handler.length > 1 && !isLast)) return []
    const guards = entries
      .slice(0, position)
      .filter(other => isSame(other) || (other.method === 'ALL' && covers(other.path, path)))
      .flatMap(other => guardOf(other.handler) ?? [])
    return [{ method, path, guards }]
  })
}

/** An application taken in with an error handler of its own has its handlers wrapped; Hono keeps the inner one there. */
function targetOf(handler: Handler): Handler {
  const { __COMPOSED_HANDLER: inner } = handler as Handler & { readonly __COMPOSED_HANDLER?: Handler }
  return inner === undefined ? handler : targetOf(inner)
}

function covers(pattern: string, path: string): boolean {
  if (!pattern.endsWith('*')) return pattern === path
  const start = pattern.slice(0, -1).replace(/\/$/, '')
  return path === start || path.startsWith(`${start}/`)
}
