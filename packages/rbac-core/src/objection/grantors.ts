import type { Knex } from 'knex'
import { GrantNotHeldError } from './errors.ts'
import { flagOf, type ResolvedUsersTable } from './users-table.ts'

/** Who may grant: the table of users, and the permission that lets its holder grant what they do not hold. */
export interface Grantors {
  readonly users: ResolvedUsersTable
  readonly administrativePermission: string | undefined
}

/**
 * Throws if the grantor does not hold all that the role gives, in this scope or everywhere.
 *
 * The role counts as if it and what it inherits were active: it may be switched on later by somebody who is not asked.
 * A wildcard is held by holding it or a wider one; to hold every permission of today is not to hold tomorrow's.
 */
export async function refuseUnheld(
  transaction: Knex,
  grantors: Grantors,
  grantedBy: string | undefined,
  roleId: string,
  scope?: string,
): Promise<void> {
  if (grantedBy === undefined) return
  const { users } = grantors
  const isActive = flagOf(users.isActive, true)
  const isSuperuser = flagOf(users.isSuperuser, false)
  const { rows } = await transaction.raw<{ rows: { held: string[]; granted: string[]; isSuperuser: boolean }[] }>(
    `with recursive grantor as (
       select u.??, ${isSuperuser.sql} as is_superuser from ?? u where u.??::text = ? and ${isActive.sql}
     ), held (role_id) as (
       select r.id from user_roles a join roles r on r.id = a.role_id join grantor g on g.?? = a.user_id
       where r.is_active and (a.expires_at is null or a.expires_at > clock_timestamp())
         and (a.scope is null or a.scope = ?)
       union
       select r.id from held h join role_inherits i on i.role_id = h.role_id
       join roles r on r.id = i.inherited_role_id where r.is_active
     ), granted (role_id) as (
       select ?::uuid
       union
       select i.inherited_role_id from granted g join role_inherits i on i.role_id = g.role_id
     )
     select
       coalesce((select is_superuser from grantor), false) as "isSuperuser",
       array(select distinct p.name from held join role_permissions rp using (role_id)
         join permissions p on p.id = rp.permission_id where p.is_active) as held,
       array(select distinct p.name from granted join role_permissions rp using (role_id)
         join permissions p on p.id = rp.permission_id order by p.name) as granted`,
    [
      users.id,
      ...isSuperuser.bindings,
      users.table,
      users.id,
      grantedBy,
      ...isActive.bindings,
      users.id,
      scope ?? null,
      roleId,
    ],
  )
  const [row] = rows
  if (!row || row.isSuperuser) return
  const held = new Set(row.held)
  const holds = (name: string): boolean =>
    held.has(name) || held.has('*') || held.has(`${name.slice(0, name.indexOf(':'))}:*`)
  const administrative = grantors.administrativePermission
  if (administrative !== undefined && holds(administrative)) return
  const missing = row.granted.filter(name => !holds(name))
  if (missing.length > 0) throw new GrantNotHeldError(grantedBy, missing)
}
