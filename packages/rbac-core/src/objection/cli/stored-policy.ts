import type { Knex } from 'knex'
import { catalogOf } from '../../catalog.ts'
import { objectionGrantStore } from '../grant-store.ts'
import { createRoleAdmin } from '../role-admin.ts'
import type { DescribedRole, PolicyDefinition } from './policy-file.ts'
import { sorted } from './shown.ts'

/** The names of all permissions that the database has rows for. */
export interface StoredNames {
  readonly permissions: readonly string[]
  readonly wildcards: readonly string[]
  /** Permissions and wildcards that are switched off. */
  readonly inactive: readonly string[]
}

export async function storedNames(knex: Knex): Promise<StoredNames> {
  const rows = await knex('permissions').select<{ name: string; action: string; is_active: boolean }[]>()
  const names = (found: typeof rows): string[] => sorted(found.map(row => row.name))
  return {
    permissions: names(rows.filter(row => row.action !== '*')),
    wildcards: names(rows.filter(row => row.action === '*')),
    inactive: names(rows.filter(row => !row.is_active)),
  }
}

/** Reads the database's policy, with grants of permissions that are switched off too. */
export async function storedPolicy(knex: Knex): Promise<PolicyDefinition> {
  const { permissions, inactive } = await storedNames(knex)
  // The list of roles asks no catalog, but there must be one, also while the database has no permissions.
  const catalog = catalogOf(permissions.length > 0 ? permissions : ['no:permission'])
  const rows = await createRoleAdmin({ knex, permissions: catalog }).roles()
  const { separationOfDuty } = await objectionGrantStore({ knex }).loadPolicy()
  const roles = rows.map(({ name, description, isActive, permissions, inherits }): DescribedRole => {
    return { name, description, isActive, permissions: sorted(permissions), inherits: sorted(inherits) }
  })
  return {
    permissions,
    roles: inOrder(roles),
    separationOfDuty: inOrder(separationOfDuty),
    inactivePermissions: inactive,
  }
}

function inOrder<Named extends { readonly name: string }>(list: readonly Named[]): Named[] {
  const byName = new Map(list.map(item => [item.name, item]))
  return sorted(byName.keys()).map(name => byName.get(name)!)
}
