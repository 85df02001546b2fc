import type { Access } from './access.ts'
import type { GrantName, PermissionCatalog } from './catalog.ts'
import { CompiledPolicy } from './compiled-policy.ts'
import { InvalidDefinitionError } from './errors.ts'
import type { GrantVersion, PolicyRecord } from './grant-store.ts'
import type { RoleGraph } from './role-graph.ts'
import { checkRules } from './separation.ts'

/** A role in a definition. An inactive role grants nothing and passes nothing on. */
export interface RoleDefinition<Permission extends string, Role extends string> {
  readonly permissions?: readonly GrantName<Permission>[] | undefined
  readonly inherits?: readonly Role[] | undefined
  readonly isActive?: boolean | undefined
}

/** A role given to a subject: everywhere, or with a scope only there. */
export interface RoleAssignment<Role extends string = string> {
  readonly role: Role
  readonly scope?: string | undefined
}

/** Who asks for access. `isActive` is true and `isSuperuser` false unless given. */
export interface Subject<Role extends string = string> {
  readonly id: string
  readonly roles: readonly (Role | RoleAssignment<Role>)[]
  readonly isActive?: boolean | undefined
  readonly isSuperuser?: boolean | undefined
  /** The roles in use, held or inherited; without it all are. Roles the subject does not hold add nothing. */
  readonly activeRoles?: readonly Role[] | undefined
}

/** All roles compiled against a catalog. It never changes. */
export interface Policy<Permission extends string = string, Role extends string = string> {
  readonly catalog: PermissionCatalog<Permission>
  readonly version: GrantVersion
  readonly record: PolicyRecord
  readonly graph: RoleGraph
  /** Grants of a stored policy that the catalog does not know. They grant nothing. */
  readonly unknownPermissions: readonly string[]
  /** Resolves the rights of a subject. Throws `SEPARATION_OF_DUTY` when the roles in use break a dynamic rule. */
  accessFor(subject: Subject<Role>): Access<Permission>
  /** Lists the permissions a role grants, inherited ones and wildcards included. */
  permissionsOf(role: Role): readonly Permission[]
  /** Lists the active roles that grant a permission, by inheritance or wildcard too. Throws `UNKNOWN_PERMISSION`. */
  rolesWith(permission: Permission): readonly Role[]
  /** Lists the roles a role inherits, directly or not, itself excluded. */
  inheritedBy(role: Role): readonly Role[]
}

/** The names of a policy's roles. */
export type RoleName<P> = P extends Policy<infer _Permission, infer Role> ? Role : never

/**
 * Defines the roles of an application in code.
 *
 * @param permissions - The catalog; a grant it does not have does not compile.
 * @param definition - The roles by name, and the separation rules between them.
 * @returns The compiled policy.
 * @throws `UNKNOWN_PERMISSION`, `UNKNOWN_ROLE`, `ROLE_CYCLE` or `INVALID_DEFINITION`.
 * @example
 * ```ts
 * import { definePermissions, definePolicy } from '@countersign/rbac-core'
 *
 * const permissions = definePermissions({ document: ['read', 'publish'] })
 * const policy = definePolicy(permissions, {
 *   roles: { reader: { permissions: ['document:read'] }, editor: { inherits: ['reader'], permissions: ['document:*'] } },
 * })
 * policy.accessFor({ id: 'u1', roles: ['editor'] }).can('document:publish')
 * ```
 */
export function definePolicy<Permission extends string, const Roles extends Readonly<Record<string, object>>>(
  permissions: PermissionCatalog<Permission>,
  definition: {
    readonly roles: Roles & {
      // A misspelt key would leave the role without what it says.
      readonly [Name in keyof Roles]: RoleDefinition<Permission, keyof Roles & string> &
        Readonly<Record<Exclude<keyof Roles[Name], keyof RoleDefinition<never, never>>, never>>
    }
    readonly separationOfDuty?:
      | readonly {
          readonly name: string
          readonly kind: 'static' | 'dynamic'
          readonly roles: readonly (keyof Roles & string)[]
          readonly atMost: number
        }[]
      | undefined
  },
): Policy<Permission, keyof Roles & string> {
  const roles = Object.entries<RoleDefinition<Permission, string>>(definition.roles).map(([name, role]) => {
    if (name === '') throw new InvalidDefinitionError('roles', 'expected names that are not empty')
    const { permissions: granted = [], inherits = [], isActive = true, ...rest } = role
    const [unknown] = Object.keys(rest)
    if (unknown !== undefined) throw new InvalidDefinitionError(`roles.${name}.${unknown}`, 'is no part of a role')
    return { name, permissions: [...granted], inherits: [...inherits], isActive }
  })
  const separationOfDuty = (definition.separationOfDuty ?? []).map(rule => ({ ...rule, roles: [...rule.roles] }))
  const record: PolicyRecord = { version: 0, roles, separationOfDuty, inactivePermissions: [] }
  const policy = new CompiledPolicy(permissions, record, { strict: true })
  checkRules(separationOfDuty, policy.graph)
  return policy
}

/**
 * Compiles the roles of a store against a catalog.
 *
 * @param permissions - The catalog.
 * @param record - The stored roles. A permission the catalog does not know, or an inherited role that does not exist,
 *   grants nothing; `unknownPermissions` lists the former.
 * @returns The compiled policy.
 * @throws `ROLE_CYCLE` when the stored roles inherit each other in a circle.
 */
export function compilePolicy<Permission extends string>(
  permissions: PermissionCatalog<Permission>,
  record: PolicyRecord,
): Policy<Permission> {
  return new CompiledPolicy(permissions, record, { strict: false })
}
