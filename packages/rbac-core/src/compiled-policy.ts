import { SubjectAccess, type Access } from './access.ts'
import { addBits, emptyBits, hasBit, members, removeBits, setBit, type Bits } from './bits.ts'
import type { PermissionCatalog } from './catalog.ts'
import { UnknownPermissionError, UnknownRoleError } from './errors.ts'
import type { GrantVersion, PolicyRecord } from './grant-store.ts'
import { neverStale, type Lease } from './lease.ts'
import type { Policy, RoleAssignment, Subject } from './policy.ts'
import { roleGraph, type RoleGraph } from './role-graph.ts'
import { assertSeparated } from './separation.ts'

/**
 * What a set of roles amounts to, in one bit set: the permissions, and from `firstRole` on the roles in effect, inherited
 * ones included. Equal sets of roles share one.
 */
export type Rights = Bits

/** Sets of roles kept; a subject with another set costs a fresh union. */
const keptRights = 4096

export class CompiledPolicy<Permission extends string = string> implements Policy<Permission> {
  readonly catalog: PermissionCatalog<Permission>
  readonly version: GrantVersion
  readonly record: PolicyRecord
  readonly graph: RoleGraph
  readonly unknownPermissions: readonly string[]
  /** What each role grants by itself. */
  readonly own: readonly Bits[]
  readonly inactive: Bits
  /** The bit of the first role in `Rights`. */
  readonly firstRole: number
  readonly nothing: Rights
  readonly #rights = new Map<string, Rights>()

  constructor(catalog: PermissionCatalog<Permission>, record: PolicyRecord, options: { strict: boolean }) {
    this.catalog = catalog
    this.version = record.version
    this.record = record
    this.graph = roleGraph(record.roles, options)
    this.firstRole = emptyBits(catalog.names.length).length * 32
    const grants = compileGrants(catalog, record)
    if (options.strict && grants.unknown.length > 0) throw new UnknownPermissionError(grants.unknown[0]!)
    this.own = grants.own
    this.inactive = grants.inactive
    this.unknownPermissions = grants.unknown
    this.nothing = emptyBits(this.firstRole + record.roles.length)
  }

  accessFor(subject: Subject): Access<Permission> {
    return this.resolve(subject, neverStale)
  }

  /** As `accessFor`, with the lease that ends the access. */
  resolve(subject: Subject & { readonly isKnown?: boolean }, lease: Lease): Access<Permission> {
    const held: RoleAssignment[] = subject.roles.map(role => (typeof role === 'string' ? { role } : role))
    const assignments = subject.activeRoles === undefined ? held : this.#activate(held, subject.activeRoles)
    const names = assignments.map(({ role }) => role)
    assertSeparated(this, names, 'dynamic', subject.id)
    const everywhere: number[] = []
    let byScope: Map<string, number[]> | undefined
    for (const { role, scope } of assignments) {
      const index = this.graph.indexOf(role)
      if (index === undefined) continue
      if (scope === undefined) everywhere.push(index)
      else {
        byScope ??= new Map()
        const list = byScope.get(scope)
        if (list === undefined) byScope.set(scope, [index])
        else list.push(index)
      }
    }
    let scoped: Map<string, Rights> | undefined
    if (byScope) scoped = new Map([...byScope].map(([scope, roles]) => [scope, this.rightsOf(roles)]))
    return new SubjectAccess(this, subject, { held, assignments }, this.rightsOf(everywhere), scoped, lease)
  }

  permissionsOf(role: string): readonly Permission[] {
    const rights = this.rightsOf([this.#roleIndex(role)])
    return members(this.permissionsIn(rights)).map(index => this.catalog.names[index]!)
  }

  rolesWith(permission: Permission): readonly string[] {
    return members(this.granting(this.catalog.indexOf(permission))).map(role => this.graph.names[role]!)
  }

  inheritedBy(role: string): readonly string[] {
    const index = this.#roleIndex(role)
    const reached = members(this.graph.reach([index], false))
    return reached.filter(other => other !== index).map(other => this.graph.names[other]!)
  }

  /** The active roles that grant a permission, by themselves or by inheritance. */
  granting(permission: number): Bits {
    if (hasBit(this.inactive, permission)) return emptyBits(this.graph.names.length)
    const direct: number[] = []
    this.own.forEach((bits, role) => {
      if (hasBit(bits, permission)) direct.push(role)
    })
    return this.graph.reachUp(direct)
  }

  #roleIndex(role: string): number {
    const index = this.graph.indexOf(role)
    if (index === undefined) throw new UnknownRoleError(role, 'The question')
    return index
  }

  /** A role may be activated by whoever holds it or a role that inherits it, and in that one's scope. */
  #activate(held: readonly RoleAssignment[], activeRoles: readonly string[]): RoleAssignment[] {
    const active: RoleAssignment[] = []
    for (const { role: name, scope } of held) {
      const role = this.graph.indexOf(name)
      if (role === undefined) continue
      const reached = this.graph.reach([role], true)
      for (const wanted of new Set(activeRoles)) {
        const index = this.graph.indexOf(wanted)
        if (index !== undefined && hasBit(reached, index)) active.push({ role: wanted, scope })
      }
    }
    return active
  }

  /** The rights of a superuser who holds these roles. */
  withEverything(rights: Rights): Rights {
    return rights.slice().fill(0xffffffff, 0, this.firstRole >>> 5)
  }

  permissionsIn(rights: Rights): Bits {
    return rights.subarray(0, this.firstRole >>> 5)
  }

  /** The union of these roles and all they inherit. */
  rightsOf(roles: readonly number[]): Rights {
    const key = [...new Set(roles)].sort((a, b) => a - b).join()
    const known = this.#rights.get(key)
    if (known !== undefined) return known
    const rights = this.nothing.slice()
    for (const role of members(this.graph.reach(roles, true))) {
      addBits(rights, this.own[role]!)
      setBit(rights, this.firstRole + role)
    }
    removeBits(rights, this.inactive)
    if (this.#rights.size >= keptRights) this.#rights.delete(this.#rights.keys().next().value!)
    this.#rights.set(key, rights)
    return rights
  }
}

/** Turns the granted names of each role into bits: wildcards here, so that asking never meets one. */
function compileGrants(
  catalog: PermissionCatalog,
  record: PolicyRecord,
): { own: Bits[]; inactive: Bits; unknown: string[] } {
  const size = catalog.names.length
  const off = new Set(record.inactivePermissions)
  const inactive = emptyBits(size)
  for (const name of off) {
    const index = catalog.find(name)
    if (index !== undefined) setBit(inactive, index)
  }
  const unknown = new Set<string>()
  let wildcards: Map<string, number[]> | undefined
  const own = record.roles.map(role => {
    const bits = emptyBits(size)
    for (const name of role.permissions) {
      const index = catalog.find(name)
      if (index !== undefined) setBit(bits, index)
      else {
        wildcards ??= wildcardsOf(catalog)
        const indexes = wildcards.get(name)
        if (indexes === undefined) unknown.add(name)
        // A wildcard that is switched off grants nothing; the permissions it stands for keep their own state.
        else if (!off.has(name)) for (const index of indexes) setBit(bits, index)
      }
    }
    return bits
  })
  return { own, inactive, unknown: [...unknown] }
}

function wildcardsOf(catalog: PermissionCatalog): Map<string, number[]> {
  const all: number[] = []
  const wildcards = new Map([['*', all]])
  catalog.names.forEach((name, index) => {
    all.push(index)
    const wildcard = `${name.slice(0, name.indexOf(':'))}:*`
    const indexes = wildcards.get(wildcard)
    if (indexes === undefined) wildcards.set(wildcard, [index])
    else indexes.push(index)
  })
  return wildcards
}
