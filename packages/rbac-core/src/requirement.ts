import type { Access } from './access.ts'
import type { PermissionCatalog } from './catalog.ts'
import { InvalidDefinitionError } from './errors.ts'
import type { Policy } from './policy.ts'

/** What a guard asks for: a permission, a role, or any combination of them. */
export type Requirement<Permission extends string = string> =
  | Permission
  | { readonly role: string }
  | { readonly anyOf: readonly Requirement<Permission>[] }
  | { readonly allOf: readonly Requirement<Permission>[] }
  | { readonly not: Requirement<Permission> }

export type AccessTest = (access: Access, scope: string | undefined) => boolean

/** A requirement made ready: indexes are looked up and names are checked once. */
export interface CompiledRequirement {
  readonly test: AccessTest
  /** The requirement in words. */
  readonly text: string
  /** The permissions it asks for, those under `not` excluded. */
  readonly permissions: readonly string[]
  /** Tells whether some role of a policy could pass; a "not" counts as passable. */
  readonly grantable: (policy: Policy) => boolean
}

/** Compiles a requirement. Throws `UNKNOWN_PERMISSION` or `INVALID_DEFINITION`. */
export function compileRequirement(catalog: PermissionCatalog, requirement: Requirement): CompiledRequirement {
  if (typeof requirement === 'string') {
    return {
      test: permissionTest(catalog, requirement),
      text: requirement,
      permissions: [requirement],
      grantable: policy => policy.catalog.has(requirement) && policy.rolesWith(requirement).length > 0,
    }
  }
  // More than one key would leave it open how they combine, and one of them without effect.
  if (typeof requirement !== 'object' || Object.keys(requirement ?? {}).length !== 1) {
    throw new InvalidDefinitionError('guard', 'expected a permission or one of role, anyOf, allOf and not')
  }
  if ('role' in requirement) {
    const { role } = requirement
    if (typeof role !== 'string' || role === '') throw new InvalidDefinitionError('guard.role', 'expected a role')
    return {
      test: (access, scope) => access.hasRole(role, { scope }),
      text: `role ${role}`,
      permissions: [],
      grantable: ({ graph }) => graph.isActive[graph.indexOf(role) ?? -1] ?? false,
    }
  }
  if ('not' in requirement) {
    const { test, text } = compileRequirement(catalog, requirement.not)
    // An access that answers no to everything must not pass because of a "not".
    return {
      test: (access, scope) => access.unusable === undefined && !test(access, scope),
      text: `not (${text})`,
      permissions: [],
      grantable: () => true,
    }
  }
  const any = 'anyOf' in requirement
  const parts = any ? requirement.anyOf : requirement.allOf
  if (!Array.isArray(parts) || parts.length === 0) {
    throw new InvalidDefinitionError(`guard.${any ? 'anyOf' : 'allOf'}`, 'expected a list that is not empty')
  }
  const compiled = (parts as readonly Requirement[]).map(part => compileRequirement(catalog, part))
  return {
    test: any
      ? (access, scope) => compiled.some(part => part.test(access, scope))
      : (access, scope) => compiled.every(part => part.test(access, scope)),
    text: `${any ? 'any' : 'all'} of (${compiled.map(part => part.text).join(', ')})`,
    permissions: compiled.flatMap(part => part.permissions),
    grantable: policy =>
      any ? compiled.some(part => part.grantable(policy)) : compiled.every(part => part.grantable(policy)),
  }
}

function permissionTest(catalog: PermissionCatalog, permission: string): AccessTest {
  const index = catalog.indexOf(permission)
  return (access, scope) => {
    if (access.catalog === catalog) return access.holds(index, scope)
    // An access of another catalog has other indexes, so only the name can be asked for.
    return access.catalog.has(permission) && access.can(permission, { scope })
  }
}
