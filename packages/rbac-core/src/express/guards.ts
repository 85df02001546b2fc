import type { PermissionCatalog } from '../catalog.ts'
import type { Guard } from '../guard.ts'
import { answerProblem, type NodeResponseLike } from '../http-connect.ts'
import { reportFailure } from '../http-failure.ts'
import { guardKey, httpGuards, type HttpGuardOptions, type HttpGuards, type RequestGuard } from '../http-guard.ts'
import type { ExpressMiddlewareLike, ExpressRequestLike, ExpressRouteRequestLike } from './express-like.ts'

/** Where a guard asks for its rights. */
export type ExpressGuardOptions<Request extends ExpressRequestLike = ExpressRouteRequestLike> =
  HttpGuardOptions<Request>

/** A guard as middleware. It carries the guard, so that `routeInventory` can list what it requires. */
export interface ExpressGuard extends ExpressMiddlewareLike {
  readonly [guardKey]: Guard
}

/** The guards over one catalog, as Express middleware: 401 without a subject, 403 when denied. */
export type ExpressGuards<Permission extends string> = HttpGuards<
  Permission,
  ExpressRequestLike,
  ExpressRouteRequestLike,
  ExpressGuard
>

/**
 * Creates the guards of a catalog as Express middleware, to be used after `expressAccess`.
 *
 * @param permissions - The catalog; a misspelt permission does not compile.
 * @returns The guards.
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { expressGuards } from '@countersign/rbac-core/express'
 *
 * const { requirePermission } = expressGuards(definePermissions({ document: ['read'] }))
 * export const readDocuments = requirePermission('document:read')
 * export const readTeam = requirePermission('document:read', { scope: req => `team:${String(req.params.team)}` })
 * ```
 */
export function expressGuards<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
): ExpressGuards<Permission> {
  return httpGuards(permissions, middleware)
}

function middleware({ guard, denial }: RequestGuard): ExpressGuard {
  return Object.assign(
    async function expressGuard(
      request: ExpressRequestLike,
      response: NodeResponseLike,
      next: (error?: unknown) => void,
    ): Promise<void> {
      const found = denial(request, reportFailure)
      const problem = found instanceof Promise ? await found : found
      if (problem) answerProblem(response, problem)
      else next()
    },
    { [guardKey]: guard },
  )
}
