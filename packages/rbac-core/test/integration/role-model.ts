import type { Knex } from 'knex'
import type { RoleAdmin } from '../../src/objection/index.ts'

/** Roles, assignments and static rules in plain collections, by the book. */
export interface State {
  readonly roles: Map<string, { permissions: Set<string>; inherits: Set<string>; isActive: boolean }>
  readonly rules: Map<string, { roles: string[]; atMost: number }>
  /** Of each user. */
  readonly assignments: { role: string; scope: string | undefined }[][]
}

/** One administrative operation, on the model and for real. */
export interface Operation {
  readonly title: string
  /** Roles that must exist. */
  readonly needs: readonly string[]
  /** Changes the state, or returns the code it is refused with. */
  apply(state: State): string | undefined
  run(admin: RoleAdmin, users: readonly string[], transaction?: Knex.Transaction): Promise<unknown>
}

/** Returns the state after the operation, or the code it fails with. */
export function planned(state: State, operation: Operation): State | string {
  if (!operation.needs.every(name => state.roles.has(name))) return 'UNKNOWN_ROLE'
  const next = structuredClone(state)
  return operation.apply(next) ?? faultOf(next) ?? next
}

function inheritedBy({ roles }: State, name: string, seen = new Set<string>()): Set<string> {
  for (const inherited of roles.get(name)?.inherits ?? []) {
    if (!seen.has(inherited)) inheritedBy({ roles } as State, inherited, seen.add(inherited))
  }
  return seen
}

/** Returns the code of the first rule that the state breaks. */
export function faultOf(state: State): string | undefined {
  for (const name of state.roles.keys()) if (inheritedBy(state, name).has(name)) return 'ROLE_CYCLE'
  for (const assigned of state.assignments) {
    const held = new Set(assigned.flatMap(({ role }) => [role, ...inheritedBy(state, role)]))
    for (const { roles, atMost } of state.rules.values()) {
      if (roles.filter(role => held.has(role)).length > atMost) return 'SEPARATION_OF_DUTY'
    }
  }
  return undefined
}

const noError = undefined

export const create = (name: string, permissions: string[], inherits: string[]): Operation => ({
  title: `create ${name} ${String(permissions)} < ${String(inherits)}`,
  needs: [],
  apply({ roles }) {
    if (roles.has(name)) return 'ROLE_EXISTS'
    if (!inherits.every(inherited => inherited === name || roles.has(inherited))) return 'UNKNOWN_ROLE'
    roles.set(name, { permissions: new Set(permissions), inherits: new Set(inherits), isActive: true })
    return noError
  },
  run: (admin, _users, transaction) => admin.createRole({ name, permissions, inherits }, { transaction }),
})

export const rename = (from: string, to: string): Operation => ({
  title: `rename ${from} ${to}`,
  needs: [from],
  apply({ roles, rules, assignments }) {
    if (roles.has(to)) return 'ROLE_EXISTS'
    const renamed = (name: string): string => (name === from ? to : name)
    for (const [name, role] of [...roles]) {
      roles.delete(name)
      roles.set(renamed(name), { ...role, inherits: new Set([...role.inherits].map(renamed)) })
    }
    for (const rule of rules.values()) rule.roles = rule.roles.map(renamed)
    for (const assignment of assignments.flat()) assignment.role = renamed(assignment.role)
    return noError
  },
  run: (admin, _users, transaction) => admin.renameRole(from, to, { transaction }),
})

export const remove = (name: string): Operation => ({
  title: `delete ${name}`,
  needs: [name],
  apply({ roles, rules, assignments }) {
    roles.delete(name)
    for (const role of roles.values()) role.inherits.delete(name)
    for (const rule of rules.values()) rule.roles = rule.roles.filter(role => role !== name)
    assignments.forEach((held, user) => (assignments[user] = held.filter(({ role }) => role !== name)))
    return noError
  },
  run: (admin, _users, transaction) => admin.deleteRole(name, { transaction }),
})

export const clone = (from: string, to: string): Operation => ({
  title: `clone ${from} ${to}`,
  needs: [from],
  apply({ roles }) {
    if (roles.has(to)) return 'ROLE_EXISTS'
    roles.set(to, { ...structuredClone(roles.get(from)!), isActive: true })
    return noError
  },
  run: (admin, _users, transaction) => admin.cloneRole(from, to, { transaction }),
})

export const grant = (name: string, permissions: string[]): Operation => ({
  title: `grant ${name} ${String(permissions)}`,
  needs: [name],
  apply({ roles }) {
    for (const permission of permissions) roles.get(name)?.permissions.add(permission)
    return noError
  },
  run: (admin, _users, transaction) => admin.grant(name, permissions, { transaction }),
})

export const revoke = (name: string, permissions: string[]): Operation => ({
  title: `revoke ${name} ${String(permissions)}`,
  needs: [name],
  apply({ roles }) {
    for (const permission of permissions) roles.get(name)?.permissions.delete(permission)
    return noError
  },
  run: (admin, _users, transaction) => admin.revoke(name, permissions, { transaction }),
})

export const inherit = (name: string, inherits: string[]): Operation => ({
  title: `inherit ${name} < ${String(inherits)}`,
  needs: [name, ...inherits],
  apply({ roles }) {
    roles.get(name)!.inherits = new Set(inherits)
    return noError
  },
  run: (admin, _users, transaction) => admin.setInherits(name, inherits, { transaction }),
})

export const activate = (name: string, isActive: boolean): Operation => ({
  title: `${isActive ? 'activate' : 'deactivate'} ${name}`,
  needs: [name],
  apply({ roles }) {
    roles.get(name)!.isActive = isActive
    return noError
  },
  run: (admin, _users, transaction) =>
    isActive ? admin.activateRole(name, { transaction }) : admin.deactivateRole(name, { transaction }),
})

export const assign = (user: number, name: string, scope: string | undefined): Operation => ({
  title: `assign ${user} ${name} ${String(scope)}`,
  needs: [name],
  apply({ assignments }) {
    const held = assignments[user]!
    if (!held.some(one => one.role === name && one.scope === scope)) held.push({ role: name, scope })
    return noError
  },
  run: (admin, users, transaction) => admin.assign(users[user]!, name, { scope, transaction }),
})

export const unassign = (user: number, name: string, scope: string | undefined): Operation => ({
  title: `unassign ${user} ${name} ${String(scope)}`,
  needs: [name],
  apply({ assignments }) {
    assignments[user] = assignments[user]!.filter(one => one.role !== name || one.scope !== scope)
    return noError
  },
  run: (admin, users, transaction) => admin.unassign(users[user]!, name, { scope, transaction }),
})

export const addRule = (name: string, roles: string[]): Operation => ({
  title: `rule ${name} ${String(roles)}`,
  needs: [],
  apply(state) {
    if (state.rules.has(name)) return 'INVALID_DEFINITION'
    if (!roles.every(role => state.roles.has(role))) return 'UNKNOWN_ROLE'
    state.rules.set(name, { roles, atMost: roles.length - 1 })
    return noError
  },
  run: (admin, _users, transaction) =>
    admin.addSeparationRule({ name, kind: 'static', roles, atMost: roles.length - 1 }, { transaction }),
})

export const removeRule = (name: string): Operation => ({
  title: `no rule ${name}`,
  needs: [],
  apply({ rules }) {
    rules.delete(name)
    return noError
  },
  run: (admin, _users, transaction) => admin.removeSeparationRule(name, { transaction }),
})
