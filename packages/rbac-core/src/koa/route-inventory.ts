import { InvalidDefinitionError } from '../errors.ts'
import type { Guard } from '../guard.ts'
import type { Policy } from '../policy.ts'
import { guardOf } from './guard-of.ts'

/** What this package uses of a router of `@koa/router`. */
export interface KoaRouterLike {
  readonly stack: readonly {
    readonly path: string | RegExp
    readonly methods: readonly string[]
    readonly stack: readonly unknown[]
    match(path: string): boolean
  }[]
}

/** One route, and what its guards require; undefined for a route that anybody can call. */
export interface GuardedRoute {
  readonly method: string
  readonly path: string
  readonly requires: string | undefined
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
  return routesOf(router).map(({ method, path, guards }) => ({
    method,
    path,
    requires: guards.length === 0 ? undefined : guards.map(guard => guard.requires).join(' and '),
  }))
}

/** A route that has no guard, or one that no role of the policy can pass. */
export interface RouteProblem {
  readonly method: string
  readonly path: string
  readonly problem: 'unguarded' | 'never-granted'
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
export function routeProblems(
  router: KoaRouterLike,
  options: { readonly open?: readonly string[] | undefined; readonly policy?: Policy | undefined } = {},
): RouteProblem[] {
  const open = new Set(options.open)
  const problems: RouteProblem[] = []
  for (const { method, path, guards } of routesOf(router)) {
    if (guards.length === 0) {
      if (!open.delete(`${method} ${path}`)) problems.push({ method, path, problem: 'unguarded' })
    } else if (options.policy !== undefined) {
      const { policy } = options
      if (!guards.every(guard => guard.grantable(policy))) problems.push({ method, path, problem: 'never-granted' })
    }
  }
  const [absent] = open
  if (absent !== undefined) throw new InvalidDefinitionError('open', `${absent} is no route without a guard`)
  return problems
}

interface RouteWithGuards {
  readonly method: string
  readonly path: string
  readonly guards: readonly Guard[]
}

function routesOf(router: KoaRouterLike): RouteWithGuards[] {
  const routes: RouteWithGuards[] = []
  router.stack.forEach((layer, position) => {
    const path = String(layer.path)
    const above = router.stack
      .slice(0, position)
      .filter(other => other.methods.length === 0 && typeof layer.path === 'string' && other.match(layer.path))
      .flatMap(other => other.stack)
    // The last of a layer is its handler, and a router answers HEAD with GET's route.
    const guards = [...above, ...layer.stack.slice(0, -1)].flatMap(middleware => guardOf(middleware) ?? [])
    for (const method of layer.methods) if (method !== 'HEAD') routes.push({ method, path, guards })
  })
  return routes
}
