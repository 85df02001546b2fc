import { hasBit } from './bits.ts'
import type { PermissionCatalog } from './catalog.ts'
import type { CompiledPolicy, Rights } from './compiled-policy.ts'
import { decisions, type Decision } from './decision.ts'
import { PermissionDeniedError, StaleAccessError } from './errors.ts'
import { decide, explain, roleGaps, type Explanation, type RoleGap } from './explain.ts'
import type { GrantVersion } from './grant-store.ts'
import type { Lease } from './lease.ts'
import type { RoleAssignment, Subject } from './policy.ts'

/** Where a right is asked for. Without a scope the question is for the right everywhere. */
export interface ScopeOption {
  readonly scope?: string | undefined
}

/** The scopes in which a subject has a permission, for the filter of a query. */
export type PermittedScopes =
  { readonly everywhere: true } | { readonly everywhere: false; readonly scopes: readonly string[] }

/** Why an access denies everything, whatever is asked. */
export type UnusableReason = 'stale' | 'inactive-subject' | 'unknown-subject'

/**
 * One subject's resolved rights. Every question is answered at once and in memory; an unknown permission throws
 * `UNKNOWN_PERMISSION`, and whatever is not granted is denied.
 */
export interface Access<Permission extends string = string> {
  readonly subjectId: string
  readonly isActive: boolean
  /** True for an active superuser, who passes every check. */
  readonly isSuperuser: boolean
  readonly policyVersion: GrantVersion
  readonly catalog: PermissionCatalog<Permission>
  /** True once the access is older than its bound: from then on it denies everything. */
  readonly stale: boolean
  /** Why this access denies everything, if it does. */
  readonly unusable: UnusableReason | undefined
  /** Tells whether the permission is granted: everywhere, or with `scope` there or everywhere. */
  can(permission: Permission, options?: ScopeOption): boolean
  /** Tells whether at least one is granted; false for an empty list. */
  canAny(permissions: readonly Permission[], options?: ScopeOption): boolean
  /** Tells whether all are granted; false for an empty list. */
  canAll(permissions: readonly Permission[], options?: ScopeOption): boolean
  /** Tells whether an active role is held or inherited. Superusers have only the roles they hold. */
  hasRole(role: string, options?: ScopeOption): boolean
  /** As `can`, with the reason, as data. */
  decide(permission: Permission, options?: ScopeOption): Decision & { readonly grantedBy: readonly string[] }
  /** Throws `PERMISSION_DENIED` or `STALE_ACCESS` unless granted. */
  assert(permission: Permission, options?: ScopeOption): void
  /** Tells why `can` answers as it does. */
  explain(permission: Permission, options?: ScopeOption): Explanation
  /** Lists the roles in use with what each lacks of these permissions, the one that lacks the fewest first. */
  roleGaps(permissions: readonly Permission[], options?: ScopeOption): readonly RoleGap[]
  /** Lists all that is granted, for instance for a front end; in a scope also what holds everywhere. */
  granted(options?: ScopeOption): readonly Permission[]
  /** Lists the roles in effect, inherited ones included. */
  roles(options?: ScopeOption): readonly string[]
  /** Lists where a permission is granted. */
  scopesWith(permission: Permission): PermittedScopes
  /** Returns who this is and no rights: an access in a log or an answer shows no policy. */
  toJSON(): Pick<Access, 'subjectId' | 'isActive' | 'isSuperuser' | 'policyVersion' | 'stale'>
  /** As `can`, by the index in `catalog`: for guards, which look the index up once. */
  holds(index: number, scope?: string): boolean
}

/** All roles a subject holds, and those in use. */
export interface Holdings {
  readonly held: readonly RoleAssignment[]
  readonly assignments: readonly RoleAssignment[]
}

export class SubjectAccess<Permission extends string> implements Access<Permission> {
  readonly subjectId: string
  readonly isActive: boolean
  readonly isSuperuser: boolean
  readonly #isKnown: boolean
  readonly catalog: PermissionCatalog<Permission>
  readonly policy: CompiledPolicy<Permission>
  readonly holdings: Holdings
  readonly scoped: ReadonlyMap<string, Rights> | undefined
  readonly rights: Rights
  readonly #lease: Lease

  constructor(
    policy: CompiledPolicy<Permission>,
    subject: Subject & { readonly isKnown?: boolean },
    holdings: Holdings,
    everywhere: Rights,
    scoped: ReadonlyMap<string, Rights> | undefined,
    lease: Lease,
  ) {
    this.subjectId = subject.id
    // Only true counts: a flag that came as 'false' or null must not open anything.
    this.isActive = subject.isActive === undefined || subject.isActive === true
    this.isSuperuser = this.isActive && subject.isSuperuser === true
    this.#isKnown = subject.isKnown ?? true
    this.catalog = policy.catalog
    this.policy = policy
    this.holdings = holdings
    const rights = this.isActive ? everywhere : policy.nothing
    this.rights = this.isSuperuser ? policy.withEverything(rights) : rights
    this.scoped = this.isActive ? scoped : undefined
    this.#lease = lease
  }

  get policyVersion(): GrantVersion {
    return this.policy.version
  }

  get stale(): boolean {
    return this.#lease.stale
  }

  get unusable(): UnusableReason | undefined {
    if (this.#lease.stale) return 'stale'
    if (this.isActive) return undefined
    return this.#isKnown ? 'inactive-subject' : 'unknown-subject'
  }

  holds(index: number, scope?: string): boolean {
    if (this.#lease.stale) return false
    if (hasBit(this.rights, index)) return true
    return scope !== undefined && this.#holdsIn(scope, index)
  }

  #holdsIn(scope: string, index: number): boolean {
    const rights = this.scoped?.get(scope)
    return rights !== undefined && hasBit(rights, index)
  }

  can(permission: Permission, options?: ScopeOption): boolean {
    return this.holds(this.catalog.indexOf(permission), options?.scope)
  }

  canAny(permissions: readonly Permission[], options?: ScopeOption): boolean {
    const indexes = permissions.map(permission => this.catalog.indexOf(permission))
    return indexes.some(index => this.holds(index, options?.scope))
  }

  canAll(permissions: readonly Permission[], options?: ScopeOption): boolean {
    const indexes = permissions.map(permission => this.catalog.indexOf(permission))
    return indexes.length > 0 && indexes.every(index => this.holds(index, options?.scope))
  }

  hasRole(role: string, options?: ScopeOption): boolean {
    const index = this.policy.graph.indexOf(role)
    return index !== undefined && this.holds(this.policy.firstRole + index, options?.scope)
  }

  assert(permission: Permission, options?: ScopeOption): void {
    if (this.can(permission, options) && !decisions.hasSubscribers) return
    const decision = this.decide(permission, options)
    if (decisions.hasSubscribers) decisions.publish(decision)
    if (decision.allowed) return
    throw decision.reason === 'stale' ? new StaleAccessError(decision) : new PermissionDeniedError(decision)
  }

  decide(permission: Permission, options?: ScopeOption): Decision & { readonly grantedBy: readonly string[] } {
    return decide(this, permission, options?.scope)
  }

  explain(permission: Permission, options?: ScopeOption): Explanation {
    return explain(this, permission, options?.scope)
  }

  roleGaps(permissions: readonly Permission[], options?: ScopeOption): readonly RoleGap[] {
    return roleGaps(this, permissions, options?.scope)
  }

  granted(options?: ScopeOption): readonly Permission[] {
    return this.catalog.names.filter((_name, index) => this.holds(index, options?.scope))
  }

  roles(options?: ScopeOption): readonly string[] {
    const { firstRole, graph } = this.policy
    return graph.names.filter((_name, index) => this.holds(firstRole + index, options?.scope))
  }

  scopesWith(permission: Permission): PermittedScopes {
    const index = this.catalog.indexOf(permission)
    if (this.holds(index)) return { everywhere: true }
    if (this.stale || this.scoped === undefined) return { everywhere: false, scopes: [] }
    return { everywhere: false, scopes: [...this.scoped.keys()].filter(scope => this.#holdsIn(scope, index)) }
  }

  toJSON(): Pick<Access, 'subjectId' | 'isActive' | 'isSuperuser' | 'policyVersion' | 'stale'> {
    const { subjectId, isActive, isSuperuser, policyVersion, stale } = this
    return { subjectId, isActive, isSuperuser, policyVersion, stale }
  }
}
