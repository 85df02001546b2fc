import type { Access, ScopeOption } from './access.ts'
import type { PermissionCatalog } from './catalog.ts'
import { currentAccess } from './context.ts'
import { decisions, type Decision, type DecisionReason } from './decision.ts'
import { guardCallable, type AnyFunction, type GuardDecorator } from './decorate.ts'
import { InvalidDefinitionError, PermissionDeniedError, StaleAccessError, UnauthenticatedError } from './errors.ts'
import type { Explanation, RoleGap } from './explain.ts'
import type { Policy } from './policy.ts'
import { compileRequirement, type CompiledRequirement, type Requirement } from './requirement.ts'

/** Where a guard asks for its rights. */
export interface GuardOptions<Args extends readonly unknown[] = never> {
  /**
   * A scope, or a function that is called as the guarded one is, with its `this` and arguments, and names the scope. If it
   * throws, the call is denied.
   */
  readonly scope?: string | ((this: never, ...args: Args) => string) | undefined
}

/** A check placed before code: a decorator for methods and getters, a wrapper for functions, and a plain test. */
export interface Guard extends GuardDecorator {
  /** What the guard requires, in words. */
  readonly requires: string
  /** Returns `fn` behind the guard, with its types, name and length. */
  wrap<Fn extends AnyFunction>(fn: Fn): Fn
  /** Tests an access; it throws nothing and needs no context. A guard with a scope function tests `options.scope`. */
  allows(access: Access, options?: ScopeOption): boolean
  /** Tells what `allows` looks at: each permission, and for each of the subject's roles what it lacks of them. */
  explain(access: Access, options?: ScopeOption): GuardExplanation
  /** Throws `UNAUTHENTICATED`, `PERMISSION_DENIED` or `STALE_ACCESS` unless `access` passes. */
  enforce(access: Access | undefined, options?: ScopeOption): void
  /** Tells whether a role of the policy could pass; a guard that nobody can pass is most likely a mistake. */
  grantable(policy: Policy): boolean
  /** Makes, and publishes, the denial of a call whose scope could not be told. */
  scopeFailed(access: Access, cause: unknown): PermissionDeniedError
}

/** Why a guard allows or denies. */
export interface GuardExplanation extends Decision {
  readonly permissions: readonly Explanation[]
  readonly roles: readonly RoleGap[]
}

/** The guards over one catalog. Each throws `UNKNOWN_PERMISSION` or `INVALID_DEFINITION` where it is declared. */
export interface Guards<Permission extends string> {
  readonly requirePermission: <Args extends readonly unknown[] = never>(
    permission: Permission,
    options?: GuardOptions<Args>,
  ) => Guard
  readonly requireAnyPermission: <Args extends readonly unknown[] = never>(
    permissions: readonly Permission[],
    options?: GuardOptions<Args>,
  ) => Guard
  readonly requireAllPermissions: <Args extends readonly unknown[] = never>(
    permissions: readonly Permission[],
    options?: GuardOptions<Args>,
  ) => Guard
  readonly requireRole: <Args extends readonly unknown[] = never>(role: string, options?: GuardOptions<Args>) => Guard
  /** Combines permissions and roles with `anyOf`, `allOf` and `not`. */
  readonly requireAccess: <Args extends readonly unknown[] = never>(
    requirement: Requirement<Permission>,
    options?: GuardOptions<Args>,
  ) => Guard
}

/**
 * Creates the guards of a catalog. They ask the access of `runWithAccess`; an active superuser passes all of them.
 *
 * @param permissions - The catalog; a misspelt permission does not compile.
 * @returns The guards, to be used as decorators (standard and legacy) or with `wrap`.
 * @example
 * ```ts
 * import { createGuards, definePermissions } from '@countersign/rbac-core'
 *
 * const permissions = definePermissions({ document: ['read', 'publish'] })
 * const { requirePermission, requireAccess } = createGuards(permissions)
 * export const publish = requirePermission('document:publish').wrap(async (id: string) => id)
 * export const review = requireAccess({ allOf: ['document:read', { not: { role: 'author' } }] }).wrap(() => 'reviewed')
 * ```
 */
export function createGuards<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
): Guards<Permission> {
  const requireAccess = (requirement: Requirement, options: GuardOptions = {}): Guard =>
    createGuard(permissions, requirement, options)
  return {
    requirePermission: (permission, options) => requireAccess(permission, options),
    requireAnyPermission: (anyOf, options) => requireAccess({ anyOf }, options),
    requireAllPermissions: (allOf, options) => requireAccess({ allOf }, options),
    requireRole: (role, options) => requireAccess({ role }, options),
    requireAccess,
  }
}

function createGuard(catalog: PermissionCatalog, requirement: Requirement, options: GuardOptions): Guard {
  const compiled = compileRequirement(catalog, requirement)
  const { scope } = options
  if (scope !== undefined && typeof scope !== 'string' && typeof scope !== 'function') {
    throw new InvalidDefinitionError('guard.scope', 'expected a string or a function')
  }
  const fixedScope = typeof scope === 'string' ? scope : undefined

  const index = typeof requirement === 'string' ? catalog.indexOf(requirement) : undefined
  const { test } = compiled

  const allows = (access: Access, asked?: ScopeOption): boolean => {
    const at = asked === undefined ? fixedScope : (asked.scope ?? fixedScope)
    // The usual case, without another call between: one permission, of this very catalog.
    if (index !== undefined && access.catalog === catalog) return access.holds(index, at)
    return test(access, at) || (access.isSuperuser && !access.stale)
  }

  const explain = (access: Access, asked?: ScopeOption): GuardExplanation => {
    const scope = asked?.scope ?? fixedScope
    const known = compiled.permissions.filter(name => access.catalog.has(name))
    return {
      ...describe(compiled, access, allows(access, { scope }), scope),
      permissions: known.map(name => access.explain(name, { scope })),
      roles: access.roleGaps(known, { scope }),
    }
  }

  const enforce = (access: Access | undefined, asked?: ScopeOption): void => {
    const at = asked?.scope ?? fixedScope
    const allowed = access !== undefined && allows(access, { scope: at })
    if (allowed && !decisions.hasSubscribers) return
    decide(compiled, access, allowed, at)
  }

  const scopeFailed = (access: Access, cause: unknown): PermissionDeniedError => {
    const { subjectId, policyVersion } = access
    const decision: Decision = {
      allowed: false,
      permission: compiled.text,
      reason: 'scope-failed',
      subjectId,
      policyVersion,
    }
    if (decisions.hasSubscribers) decisions.publish(decision)
    return new PermissionDeniedError(decision, { cause })
  }

  const enforceCall = (self: unknown, args: unknown[]): void => {
    const access = currentAccess()
    if (typeof scope !== 'function' || access === undefined) return enforce(access)
    let at: string
    try {
      at = (scope as (this: unknown, ...args: unknown[]) => string).apply(self, args)
      if (typeof at !== 'string')
        throw new InvalidDefinitionError('guard.scope', 'expected the function to return a string')
    } catch (cause) {
      throw scopeFailed(access, cause)
    }
    return enforce(access, { scope: at })
  }

  const { decorate, wrap } = guardCallable(enforceCall)
  const { text: requires, grantable } = compiled
  return Object.assign(decorate, { requires, wrap, allows, explain, enforce, grantable, scopeFailed })
}

/** Publishes the decision and throws when it is a denial. */
function decide(required: CompiledRequirement, access: Access | undefined, allowed: boolean, scope?: string): void {
  const decision = describe(required, access, allowed, scope)
  if (decisions.hasSubscribers) decisions.publish(decision)
  if (allowed) return
  if (access === undefined) throw new UnauthenticatedError()
  throw decision.reason === 'stale' ? new StaleAccessError(decision) : new PermissionDeniedError(decision)
}

function describe(
  { text: permission, permissions }: CompiledRequirement,
  access: Access | undefined,
  allowed: boolean,
  scope: string | undefined,
): Decision {
  if (access === undefined) return { allowed, permission, reason: 'unauthenticated', scope }
  const { subjectId, policyVersion } = access
  const parts = permissions.filter(name => access.catalog.has(name)).map(name => access.decide(name, { scope }))
  const grantedBy = [...new Set(parts.flatMap(part => part.grantedBy))]
  const denied = parts.find(part => !part.allowed)
  let reason: DecisionReason = access.unusable ?? denied?.reason ?? 'not-granted'
  if (allowed) reason = access.isSuperuser ? 'superuser' : 'granted'
  return { allowed, permission, reason, subjectId, scope, policyVersion, grantedBy }
}
