import type { RoleRecord } from '@countersign/rbac-core'

export interface OracleSubject {
  readonly assignments: readonly { role: string; scope?: string | undefined }[]
  readonly isActive: boolean
  readonly isSuperuser: boolean
  readonly activeRoles: readonly string[] | undefined
}

/** The rules of access in their plainest form: sets of names, walked anew for every question. */
export class Oracle {
  readonly #roles: ReadonlyMap<string, RoleRecord>
  readonly #inactive: ReadonlySet<string>

  constructor(roles: readonly RoleRecord[], inactivePermissions: readonly string[]) {
    this.#roles = new Map(roles.map(role => [role.name, role]))
    this.#inactive = new Set(inactivePermissions)
  }

  can(subject: OracleSubject, permission: string, scope?: string): boolean {
    if (!subject.isActive) return false
    if (subject.isSuperuser) return true
    return this.rolesOf(subject, scope).some(role => this.lists(role, permission))
  }

  hasRole(subject: OracleSubject, role: string, scope?: string): boolean {
    return subject.isActive && this.rolesOf(subject, scope).some(({ name }) => name === role)
  }

  grants(role: string, permission: string): boolean {
    return this.effective(role).some(found => this.lists(found, permission))
  }

  /** The active roles in effect in a scope. */
  rolesOf(subject: OracleSubject, scope?: string): RoleRecord[] {
    const held = subject.assignments.filter(given => given.scope === undefined || given.scope === scope)
    const reached = held.flatMap(({ role }) => this.effective(role))
    const { activeRoles } = subject
    if (activeRoles === undefined) return reached
    return reached.filter(({ name }) => activeRoles.includes(name)).flatMap(({ name }) => this.effective(name))
  }

  effective(name: string): RoleRecord[] {
    const role = this.#roles.get(name)
    if (!role?.isActive) return []
    return [role, ...role.inherits.flatMap(inherited => this.effective(inherited))]
  }

  lists(role: RoleRecord, permission: string): boolean {
    if (this.#inactive.has(permission)) return false
    const wildcard = `${permission.split(':')[0]}:*`
    return role.permissions.some(
      grant => !this.#inactive.has(grant) && (grant === permission || grant === '*' || grant === wildcard),
    )
  }
}
