import type { Knex } from 'knex'
import { catalogOf } from '../../catalog.ts'
import type { RoleDetails } from '../reviews.ts'
import { createRoleAdmin, type RoleAdmin } from '../role-admin.ts'
import { syncCatalog } from '../sync-catalog.ts'
import { resolveUsers, type UsersTable } from '../users-table.ts'
import { holdingsOf, userChanges } from './user-changes.ts'
import { diffLines, diffPolicies, sameRule } from './policy-diff.ts'
import type { PolicyFile } from './policy-file.ts'
import { shown } from './shown.ts'
import { storedPolicy } from './stored-policy.ts'

/**
 * Makes the roles and rules of the database those of the file, in one transaction, and says what that changes.
 *
 * A dry run does the same and rolls back, so that it meets every refusal which the real run would meet.
 */
export async function applyPolicy(
  knex: Knex,
  file: PolicyFile,
  options: { users: UsersTable; write: boolean },
): Promise<string[]> {
  const transaction = await knex.transaction()
  try {
    // The turn among all writes, taken before anything is read.
    await transaction.raw('select from rbac_version for update')
    const before = await storedPolicy(transaction)
    const holdings = await holdingsOf(transaction, resolveUsers(options.users))
    await syncCatalog(transaction, catalogOf(file.permissions), { transaction })
    const admin = createRoleAdmin({ knex, permissions: catalogOf(file.permissions), users: options.users })
    const notes = await writeRoles(admin, file, transaction)
    const after = await storedPolicy(transaction)
    const lines = [...diffLines(diffPolicies(before, after)), ...notes, ...userChanges(before, after, holdings)]
    await (options.write ? transaction.commit() : transaction.rollback())
    return lines
  } catch (error) {
    if (!transaction.isCompleted()) await transaction.rollback()
    throw error
  }
}

/** Every state on the way holds at most the roles and edges of the end, so that no rule refuses but the end's own. */
async function writeRoles(admin: RoleAdmin, file: PolicyFile, transaction: Knex.Transaction): Promise<string[]> {
  const options = { transaction }
  const notes: string[] = []
  const stored = new Map((await admin.roles(options)).map(role => [role.name, role]))
  const { separationOfDuty: rules } = await storedPolicy(transaction)
  const kept = rules.filter(rule =>
    file.separationOfDuty.some(other => other.name === rule.name && sameRule(rule, other)),
  )
  for (const rule of rules) if (!kept.includes(rule)) await admin.removeSeparationRule(rule.name, options)

  const wanted = new Set(file.roles.map(role => role.name))
  for (const { name } of stored.values()) if (!wanted.has(name)) await admin.deleteRole(name, options)
  for (const role of file.roles) {
    const old = stored.get(role.name)
    if (old === undefined) {
      await admin.createRole({ name: role.name, description: role.description, permissions: role.permissions }, options)
    } else {
      const changed = await changeRole(admin, old, role, options)
      if (changed.length > 0) notes.push(`~ role ${shown(role.name)}: ${changed.join(', ')}`)
    }
  }
  const rewired = file.roles.filter(role => !sameNames(role.inherits, stored.get(role.name)?.inherits ?? []))
  for (const role of rewired) if (stored.has(role.name)) await admin.setInherits(role.name, [], options)
  for (const role of rewired) await admin.setInherits(role.name, [...new Set(role.inherits)], options)
  for (const { name, isActive } of file.roles) {
    if ((stored.get(name)?.isActive ?? true) === isActive) continue
    await (isActive ? admin.activateRole(name, options) : admin.deactivateRole(name, options))
    notes.push(`~ role ${shown(name)}: ${isActive ? 'active' : 'inactive'}`)
  }
  for (const rule of file.separationOfDuty) {
    if (!kept.some(({ name }) => name === rule.name)) await admin.addSeparationRule(rule, options)
  }
  return notes
}

/** Changes what a role lists, and says how; a file without a description leaves the one that is there. */
async function changeRole(
  admin: RoleAdmin,
  old: RoleDetails,
  role: PolicyFile['roles'][number],
  options: { transaction: Knex.Transaction },
): Promise<string[]> {
  const changed: string[] = []
  const granted = role.permissions.filter(name => !old.permissions.includes(name))
  const revoked = old.permissions.filter(name => !role.permissions.includes(name))
  if (granted.length > 0) await admin.grant(role.name, granted, options)
  if (revoked.length > 0) await admin.revoke(role.name, revoked, options)
  if (granted.length + revoked.length > 0) changed.push('permissions')
  if (!sameNames(role.inherits, old.inherits)) changed.push('inherits')
  if (role.description !== undefined && role.description !== old.description) {
    await admin.describeRole(role.name, role.description, options)
    changed.push('description')
  }
  return changed
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  const names = new Set(a)
  return names.size === new Set(b).size && b.every(name => names.has(name))
}
