import { requirementOf } from './requires.ts'

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
 * Lists the routes of a router with what each requires, so that a test can find one without a guard.
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
 * const unguarded = routeInventory(router).filter(route => route.requires === undefined && route.path !== '/health')
 * ```
 */
export function routeInventory(router: KoaRouterLike): GuardedRoute[] {
  const routes: GuardedRoute[] = []
  router.stack.forEach((layer, position) => {
    const path = String(layer.path)
    const above = router.stack
      .slice(0, position)
      .filter(other => other.methods.length === 0 && typeof layer.path === 'string' && other.match(layer.path))
      .flatMap(other => other.stack)
    const guards = [...above, ...layer.stack.slice(0, -1)].flatMap(middleware => requirementOf(middleware) ?? [])
    const requires = guards.length === 0 ? undefined : guards.join(' and ')
    // The last of a layer is its handler. A router answers HEAD with GET's route.
    for (const method of layer.methods) if (method !== 'HEAD') routes.push({ method, path, requires })
  })
  return routes
}
