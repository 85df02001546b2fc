import { inspect } from 'node:util'
import { HttpException, Logger, UseGuards } from '@nestjs/common'
import type { PermissionCatalog } from '../catalog.ts'
import { currentAccess } from '../context.ts'
import type { Guard } from '../guard.ts'
import { guardKey, httpGuards, type HttpGuardOptions, type HttpGuards, type RequestGuard } from '../http-guard.ts'
import type { NestCanActivateLike, NestContextLike, NestRequestLike, NestRouteRequestLike } from './nest-like.ts'

/** Where a guard asks for its rights. */
export type NestGuardOptions<Request extends NestRequestLike = NestRouteRequestLike> = HttpGuardOptions<Request>

/** A guard as a decorator for controllers and their handlers. */
export type NestGuard = ClassDecorator &
  MethodDecorator & {
    /** The same for `useGlobalGuards` and beside others in `UseGuards`. */
    readonly guard: NestCanActivateLike & { readonly [guardKey]: Guard }
  }

/** The guards over one catalog, as decorators for Nest: 401 without a subject, 403 when denied. */
export type NestGuards<Permission extends string> = HttpGuards<
  Permission,
  NestRequestLike,
  NestRouteRequestLike,
  NestGuard
>

/**
 * Creates the guards of a catalog as decorators for Nest's controllers and handlers, to be used after `nestAccess`.
 *
 * A denial is an `HttpException` whose body is the problem's details, so that exception filters see it. Outside of HTTP
 * a guard throws the package's own errors, and one with a scope function denies.
 *
 * @param permissions - The catalog; a misspelt permission does not compile.
 * @returns The guards.
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { nestGuards } from '@countersign/rbac-core/nest'
 *
 * const { requireAccess, requirePermission } = nestGuards(definePermissions({ document: ['read', 'publish'] }))
 * // as decorators, above a controller or one of its handlers
 * export const canRead = requirePermission('document:read')
 * export const canReview = requireAccess({ allOf: ['document:publish', { not: { role: 'author' } }] })
 * export const canReadTeam = requirePermission('document:read', { scope: request => `team:${request.params.team}` })
 * ```
 */
export function nestGuards<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
): NestGuards<Permission> {
  return httpGuards(permissions, decorator)
}

const logger = new Logger('rbac-core')

function decorator(requestGuard: RequestGuard): NestGuard {
  const guard = {
    canActivate: (context: NestContextLike) => canActivate(requestGuard, context),
    [guardKey]: requestGuard.guard,
  }
  return Object.assign(UseGuards(guard), { guard })
}

async function canActivate({ guard, denial }: RequestGuard, context: NestContextLike): Promise<boolean> {
  const http = context.switchToHttp()
  const report = (error: unknown): void => {
    logger.error('The scope of a guard could not be told', inspect(error))
  }
  const problem = await denial(http.getRequest(), report)
  if (problem === undefined) return true
  if (context.getType() === 'http') {
    const response = http.getResponse() as { header(name: string, value: string): unknown }
    for (const [name, value] of Object.entries(problem.headers)) response.header(name, value)
  } else {
    guard.enforce(currentAccess())
  }
  throw new HttpException(problem.details, problem.status)
}
