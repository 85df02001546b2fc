import type { PermissionCatalog } from '../catalog.ts'
import { currentAccess } from '../context.ts'
import { InvalidDefinitionError } from '../errors.ts'
import { createGuards, type Guard } from '../guard.ts'
import type { Requirement } from '../requirement.ts'
import { guardKey } from './guard-of.ts'
import type { KoaContextLike, KoaMiddlewareLike, KoaRouteContextLike } from './koa-like.ts'
import { answerProblem } from './problem.ts'

/** Where a guard asks for its rights. */
export interface KoaGuardOptions<Context extends KoaContextLike = KoaRouteContextLike> {
  /** A scope, or a function that names it. If the function fails the request is denied. */
  readonly scope?: string | ((ctx: Context) => string | Promise<string>) | undefined
}

/** A guard as middleware. It carries the guard, so that `routeInventory` can list what it requires. */
export interface KoaGuard extends KoaMiddlewareLike {
  readonly [guardKey]: Guard
}

/** The guards over one catalog, as Koa middleware: 401 without a subject, 403 when denied. */
export interface KoaGuards<Permission extends string> {
  readonly requirePermission: <Context extends KoaContextLike = KoaRouteContextLike>(
    permission: Permission,
    options?: KoaGuardOptions<Context>,
  ) => KoaGuard
  readonly requireAnyPermission: <Context extends KoaContextLike = KoaRouteContextLike>(
    permissions: readonly Permission[],
    options?: KoaGuardOptions<Context>,
  ) => KoaGuard
  readonly requireAllPermissions: <Context extends KoaContextLike = KoaRouteContextLike>(
    permissions: readonly Permission[],
    options?: KoaGuardOptions<Context>,
  ) => KoaGuard
  readonly requireRole: <Context extends KoaContextLike = KoaRouteContextLike>(
    role: string,
    options?: KoaGuardOptions<Context>,
  ) => KoaGuard
  /** Combines permissions and roles with `anyOf`, `allOf` and `not`. */
  readonly requireAccess: <Context extends KoaContextLike = KoaRouteContextLike>(
    requirement: Requirement<Permission>,
    options?: KoaGuardOptions<Context>,
  ) => KoaGuard
}

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
  const guards = createGuards(permissions)
  return {
    requirePermission: (permission, options) => middleware(guards.requirePermission(permission), options),
    requireAnyPermission: (names, options) => middleware(guards.requireAnyPermission(names), options),
    requireAllPermissions: (names, options) => middleware(guards.requireAllPermissions(names), options),
    requireRole: (role, options) => middleware(guards.requireRole(role), options),
    requireAccess: (requirement, options) => middleware(guards.requireAccess(requirement), options),
  }
}

function middleware<Context extends KoaContextLike>(guard: Guard, options: KoaGuardOptions<Context> = {}): KoaGuard {
  const { scope } = options
  return Object.assign(
    async function koaGuard(ctx: KoaContextLike, next: () => Promise<unknown>): Promise<unknown> {
      try {
        const access = currentAccess()
        let at: string | undefined
        if (access !== undefined && scope !== undefined) {
          try {
            at = typeof scope === 'string' ? scope : await scope(ctx as Context)
            if (typeof at !== 'string') throw new InvalidDefinitionError('guard.scope', 'expected a string')
          } catch (cause) {
            const denied = guard.scopeFailed(access, cause)
            ctx.app.emit('error', denied, ctx)
            throw denied
          }
        }
        guard.enforce(access, { scope: at })
      } catch (error) {
        return answerProblem(ctx, error)
      }
      return next()
    },
    { [guardKey]: guard },
  )
}
