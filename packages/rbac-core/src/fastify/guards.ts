import type { PermissionCatalog } from '../catalog.ts'
import type { Guard } from '../guard.ts'
import { guardKey, httpGuards, type HttpGuardOptions, type HttpGuards, type RequestGuard } from '../http-guard.ts'
import type { HttpProblem } from '../http-problem.ts'
import { answerProblem } from './answer-problem.ts'
import type { FastifyHookLike, FastifyReplyLike, FastifyRequestLike, FastifyRouteRequestLike } from './fastify-like.ts'

/** Where a guard asks for its rights. */
export type FastifyGuardOptions<Request extends FastifyRequestLike = FastifyRouteRequestLike> =
  HttpGuardOptions<Request>

/** A guard as a hook. It carries the guard, so that `watchRoutes` can list what it requires. */
export interface FastifyGuard extends FastifyHookLike {
  readonly [guardKey]: Guard
}

/** The guards over one catalog, as Fastify hooks: 401 without a subject, 403 when denied. */
export type FastifyGuards<Permission extends string> = HttpGuards<
  Permission,
  FastifyRequestLike,
  FastifyRouteRequestLike,
  FastifyGuard
>

/**
 * Creates the guards of a catalog as Fastify hooks: `preHandler` of a route, or of `addHook` for a plugin's routes.
 *
 * @param permissions - The catalog; a misspelt permission does not compile.
 * @returns The guards.
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { fastifyGuards } from '@countersign/rbac-core/fastify'
 * import Fastify from 'fastify'
 *
 * const { requirePermission } = fastifyGuards(definePermissions({ document: ['read'] }))
 * const readTeam = requirePermission('document:read', { scope: request => `team:${request.params.team}` })
 * export const app = Fastify()
 * app.get('/documents/:id', { preHandler: requirePermission('document:read') }, () => 'a document')
 * app.get('/teams/:team', { preHandler: readTeam }, () => 'a team')
 * ```
 */
export function fastifyGuards<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
): FastifyGuards<Permission> {
  return httpGuards(permissions, hook)
}

function hook({ guard, denial }: RequestGuard): FastifyGuard {
  function fastifyGuard(request: FastifyRequestLike, reply: FastifyReplyLike, done: (error?: Error) => void): void {
    const settle = (problem: HttpProblem | undefined): void => {
      if (problem) answerProblem(reply, problem)
      else done()
    }
    const found = denial(request, error => {
      request.log.error({ err: error }, 'The scope of a guard could not be told')
    })
    if (found instanceof Promise) found.then(settle, done)
    else settle(found)
  }
  return Object.assign(fastifyGuard, { [guardKey]: guard })
}
