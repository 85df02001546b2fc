import type { Access } from './access.ts'
import type { PermissionCatalog } from './catalog.ts'
import { currentAccess } from './context.ts'
import { InvalidDefinitionError } from './errors.ts'
import { createGuards, type Guard } from './guard.ts'
import type { MaybePromise } from './http-access.ts'
import { problemOf, type HttpProblem } from './http-problem.ts'
import type { Requirement } from './requirement.ts'

/** Under this symbol a framework's guard carries the guard itself; another copy of this package reads it too. */
export const guardKey: unique symbol = Symbol.for('countersign.rbac-core.guard') as typeof guardKey

/** Returns the guard that a middleware, a hook or a framework's guard is made of, if it is one. */
export function guardOf(value: unknown): Guard | undefined {
  if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) return undefined
  return (value as { readonly [guardKey]?: Guard })[guardKey]
}

/** Where a guard asks for its rights. */
export interface HttpGuardOptions<Request> {
  /** A scope, or a function that names it. If the function fails the request is denied. */
  readonly scope?: string | ((request: Request) => MaybePromise<string>) | undefined
}

/** The guards over one catalog in a framework's form: 401 without a subject, 403 when denied. */
export interface HttpGuards<Permission extends string, Request, RouteRequest extends Request, Result> {
  readonly requirePermission: <Asked extends Request = RouteRequest>(
    permission: Permission,
    options?: HttpGuardOptions<Asked>,
  ) => Result
  readonly requireAnyPermission: <Asked extends Request = RouteRequest>(
    permissions: readonly Permission[],
    options?: HttpGuardOptions<Asked>,
  ) => Result
  readonly requireAllPermissions: <Asked extends Request = RouteRequest>(
    permissions: readonly Permission[],
    options?: HttpGuardOptions<Asked>,
  ) => Result
  readonly requireRole: <Asked extends Request = RouteRequest>(
    role: string,
    options?: HttpGuardOptions<Asked>,
  ) => Result
  /** Combines permissions and roles with `anyOf`, `allOf` and `not`. */
  readonly requireAccess: <Asked extends Request = RouteRequest>(
    requirement: Requirement<Permission>,
    options?: HttpGuardOptions<Asked>,
  ) => Result
}

/** A guard with the scope it asks in, for requests of one framework. */
export interface RequestGuard {
  readonly guard: Guard
  /** Tells what to answer, or undefined for a request that passes; a promise only where the scope is asked for. */
  readonly denial: (request: unknown, report: (error: unknown) => void) => MaybePromise<HttpProblem | undefined>
}

/** Makes the guards of a catalog; `adapt` gives each the form that the framework takes. */
export function httpGuards<Permission extends string, Request, RouteRequest extends Request, Result>(
  permissions: PermissionCatalog<Permission>,
  adapt: (guard: RequestGuard) => Result,
): HttpGuards<Permission, Request, RouteRequest, Result> {
  const guards = createGuards(permissions)
  const adapted = (guard: Guard, options: HttpGuardOptions<never> = {}): Result => adapt(requestGuard(guard, options))
  return {
    requirePermission: (permission, options) => adapted(guards.requirePermission(permission), options),
    requireAnyPermission: (names, options) => adapted(guards.requireAnyPermission(names), options),
    requireAllPermissions: (names, options) => adapted(guards.requireAllPermissions(names), options),
    requireRole: (role, options) => adapted(guards.requireRole(role), options),
    requireAccess: (requirement, options) => adapted(guards.requireAccess(requirement), options),
  }
}

function requestGuard(guard: Guard, { scope }: HttpGuardOptions<never>): RequestGuard {
  if (scope !== undefined && typeof scope !== 'string' && typeof scope !== 'function') {
    throw new InvalidDefinitionError('guard.scope', 'expected a string or a function')
  }
  return {
    guard,
    denial: (request, report) => {
      const access = currentAccess()
      if (typeof scope !== 'function' || access === undefined) {
        return denialIn(guard, access, typeof scope === 'string' ? scope : undefined)
      }
      return scopedDenial(guard, access, () => (scope as (request: unknown) => MaybePromise<string>)(request), report)
    },
  }
}

async function scopedDenial(
  guard: Guard,
  access: Access,
  scope: () => MaybePromise<string>,
  report: (error: unknown) => void,
): Promise<HttpProblem | undefined> {
  let at: string
  try {
    at = await scope()
    if (typeof at !== 'string') throw new InvalidDefinitionError('guard.scope', 'expected a string')
  } catch (cause) {
    const denied = guard.scopeFailed(access, cause)
    report(denied)
    return problemOf(denied)
  }
  return denialIn(guard, access, at)
}

function denialIn(guard: Guard, access: Access | undefined, scope: string | undefined): HttpProblem | undefined {
  try {
    guard.enforce(access, { scope })
  } catch (error) {
    return problemOf(error)
  }
  return undefined
}
