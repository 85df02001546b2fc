import type { PermissionCatalog } from '../catalog.ts'
import type { Guard } from '../guard.ts'
import { guardKey, httpGuards, type HttpGuardOptions, type HttpGuards, type RequestGuard } from '../http-guard.ts'
import { answerProblem } from './answer-problem.ts'
import type { KoaContextLike, KoaMiddlewareLike, KoaRouteContextLike } from './koa-like.ts'

/** Where a guard asks for its rights. */
export type KoaGuardOptions<Context extends KoaContextLike = KoaRouteContextLike> = HttpGuardOptions<Context>

/** A guard as middleware. It carries the guard, so that `routeInventory` can list what it requires. */
export interface KoaGuard extends KoaMiddlewareLike {
  readonly [guardKey]: Guard
}

/** The guards over one catalog, as Koa middleware: 401 without a subject, 403 when denied. */
export type KoaGuards<Permission extends string> = HttpGuards<Permission, KoaContextLike, KoaRouteContextLike, KoaGuard>

/**
 * Creates the guards of a catalog as Koa middleware, to be used after `koaAccess`.
 *
 * @param permissions - The catalog; a misspelt permission does not compile.
 * @returns The guards.
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { koaGuards } from '@countersign/rbac-core/koa'
 *
 * const { requirePermission } = koaGuards(definePermissions({ document: ['read'] }))
 * export const readDocuments = requirePermission('document:read')
 * export const readTeam = requirePermission('document:read', { scope: ctx => `team:${ctx.params.team}` })
 * ```
 */
export function koaGuards<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
): KoaGuards<Permission> {
  return httpGuards(permissions, middleware)
}

function middleware({ guard, denial }: RequestGuard): KoaGuard {
  return Object.assign(
    async function koaGuard(ctx: KoaContextLike, next: () => Promise<unknown>): Promise<unknown> {
      const found = denial(ctx, error => ctx.app.emit('error', error, ctx))
      const problem = found instanceof Promise ? await found : found
      return problem ? answerProblem(ctx, problem) : next()
    },
    { [guardKey]: guard },
  )
}
