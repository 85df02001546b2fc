import type { PermissionCatalog } from '../catalog.ts'
import type { Guard } from '../guard.ts'
import { reportFailure } from '../http-failure.ts'
import { guardKey, httpGuards, type HttpGuardOptions, type HttpGuards, type RequestGuard } from '../http-guard.ts'
import type { HonoContextLike, HonoMiddlewareLike } from './hono-like.ts'
import { problemResponse } from './problem-response.ts'

/** Where a guard asks for its rights. */
export type HonoGuardOptions<Context extends HonoContextLike = HonoContextLike> = HttpGuardOptions<Context>

/** A guard as middleware. It carries the guard, so that `routeInventory` can list what it requires. */
export interface HonoGuard extends HonoMiddlewareLike {
  readonly [guardKey]: Guard
}

/** The guards over one catalog, as Hono middleware: 401 without a subject, 403 when denied. */
export type HonoGuards<Permission extends string> = HttpGuards<Permission, HonoContextLike, HonoContextLike, HonoGuard>

/**
 * Creates the guards of a catalog as Hono middleware, to be used after `honoAccess`.
 *
 * @param permissions - The catalog; a misspelt permission does not compile.
 * @returns The guards.
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { honoGuards } from '@countersign/rbac-core/hono'
 * import { Hono } from 'hono'
 *
 * const { requirePermission } = honoGuards(definePermissions({ document: ['read'] }))
 * const readTeam = requirePermission('document:read', { scope: c => `team:${c.req.param('team')}` })
 * export const app = new Hono()
 * app.get('/documents/:id', requirePermission('document:read'), c => c.text('a document'))
 * app.get('/teams/:team', readTeam, c => c.text('a team'))
 * ```
 */
export function honoGuards<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
): HonoGuards<Permission> {
  return httpGuards(permissions, middleware)
}

function middleware({ guard, denial }: RequestGuard): HonoGuard {
  return Object.assign(
    async function honoGuard(c: HonoContextLike, next: () => Promise<void>): Promise<Response | undefined> {
      const found = denial(c, reportFailure)
      const problem = found instanceof Promise ? await found : found
      if (problem) return problemResponse(problem)
      await next()
      return undefined
    },
    { [guardKey]: guard },
  )
}
