import { InvalidDefinitionError } from '../errors.ts'
import type { Guard } from '../guard.ts'
import { guardOf } from '../http-guard.ts'
import {
  checkRoutes,
  describeRoutes,
  type GuardedRoute,
  type RouteCheckOptions,
  type RouteProblem,
  type RouteWithGuards,
} from '../http-routes.ts'

/** What this package uses of a router of Express 5.3 or newer; older ones do not keep the paths of their routers. */
export interface ExpressRouterLike {
  readonly stack: readonly object[]
}

/** An application, or a router by itself. */
export type ExpressRoutesLike = ExpressRouterLike | { readonly router: ExpressRouterLike }

/**
 * Lists the routes of an application or a router, those of routers inside it too, with what each requires.
 *
 * A guard counts where it stands before the handler: on the route itself, or in a `use` above it whose path begins the
 * route's path, letter by letter. A guard inside another function is not seen, nor are applications mounted in one.
 *
 * @param routes - An application or a router.
 * @returns The routes in the order of their registration; several guards of one route are joined by " and ".
 * @throws `INVALID_DEFINITION` for a router that does not keep the paths it was given.
 * @example
 * ```ts
 * import { routeInventory, type ExpressRoutesLike } from '@countersign/rbac-core/express'
 *
 * declare const app: ExpressRoutesLike
 * for (const { method, path, requires } of routeInventory(app)) {
 *   process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
 * }
 * ```
 */
export function routeInventory(routes: ExpressRoutesLike): GuardedRoute[] {
  return describeRoutes(routesOf(routes))
}

/**
 * Finds routes that anybody can call and routes that nobody can, for a test that fails on either.
 *
 * @param routes - An application or a router.
 * @param options - The routes that are meant for anybody, and the policy that must be able to pass the others.
 * @returns The problems; empty when all is well.
 * @throws `INVALID_DEFINITION` when `open` names a route that does not exist, or has a guard.
 * @example
 * ```ts
 * import { routeProblems, type ExpressRoutesLike } from '@countersign/rbac-core/express'
 * import { strictEqual } from 'node:assert'
 *
 * declare const app: ExpressRoutesLike
 * strictEqual(routeProblems(app, { open: ['GET /health'] }).length, 0)
 * ```
 */
export function routeProblems(routes: ExpressRoutesLike, options?: RouteCheckOptions): RouteProblem[] {
  return checkRoutes(routesOf(routes), options)
}

type Path = string | RegExp

/** What stands in a router's stack, as far as it is used here; Express does not declare its types. */
interface Layer {
  readonly rawPath?: Path | readonly Path[]
  readonly handle: { readonly stack?: readonly Layer[] }
  readonly route?: { readonly stack: readonly { readonly method?: string; readonly handle: unknown }[] }
}

interface GuardAbove {
  readonly path: Path
  readonly guard: Guard
}

function routesOf(routes: ExpressRoutesLike): RouteWithGuards[] {
  const router = 'stack' in routes ? routes : routes.router
  return collect(router.stack as readonly Layer[], '', [])
}

function collect(stack: readonly Layer[], prefix: string, outside: readonly GuardAbove[]): RouteWithGuards[] {
  const above = [...outside]
  return stack.flatMap(layer =>
    pathsOf(layer).flatMap(own => {
      const path = joined(prefix, own)
      if (layer.route) return routesAt(layer.route, path, above)
      if (layer.handle.stack) return collect(layer.handle.stack, String(path), above)
      const guard = guardOf(layer.handle)
      if (guard) above.push({ path, guard })
      return []
    }),
  )
}

function routesAt({ stack }: NonNullable<Layer['route']>, path: Path, above: readonly GuardAbove[]): RouteWithGuards[] {
  const outside = above.filter(guard => begins(guard.path, path)).map(({ guard }) => guard)
  const methods = [...new Set(stack.map(({ method }) => method))]
  return methods.flatMap(method => {
    const handlers = stack.filter(entry => entry.method === method || entry.method === undefined)
    // The last is the handler; where it is a guard, the route only guards others.
    if (guardOf(handlers.at(-1)?.handle)) return []
    const guards = handlers.slice(0, -1).flatMap(({ handle }) => guardOf(handle) ?? [])
    return [{ method: (method ?? 'all').toUpperCase(), path: String(path), guards: [...outside, ...guards] }]
  })
}

function pathsOf({ rawPath }: Layer): readonly Path[] {
  if (rawPath === undefined) throw new InvalidDefinitionError('router', 'expected one of Express 5.3 or newer')
  return typeof rawPath === 'string' || rawPath instanceof RegExp ? [rawPath] : rawPath
}

function joined(prefix: string, path: Path): Path {
  if (path instanceof RegExp) return prefix === '' ? path : `${prefix} ${String(path)}`
  if (path === '/') return prefix === '' ? '/' : prefix
  return prefix === '/' ? path : prefix + path
}

function begins(start: Path, path: Path): boolean {
  if (typeof start !== 'string' || typeof path !== 'string') return start === '/'
  return start === '/' || path === start || path.startsWith(`${start}/`)
}
