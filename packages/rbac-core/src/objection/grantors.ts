import type { Knex } from 'knex'
import { GrantNotHeldError, UnknownUserError } from './errors.ts'
import { flagOf, isUnreadableKey, type ResolvedUsersTable } from './users-table.ts'

/** Who may grant: the table of users, and the permission that lets its holder grant what they do not hold. */
export interface Grantors {
  readonly users: ResolvedUsersTable
  readonly administrativePermission: string | undefined
}

/** Throws if the grantor does not hold all that the role gives. */
export type RefuseUnheld = (roleId: string) => Promise<void>

/**
 * Reads what the grantor holds, in this scope or everywhere, and returns the check against it.
 *
 * Call it before the write and the check after: the write itself may widen a role that the grantor has. What the grantor
 * holds for a time can be given for no longer, or whoever has it for an hour could make it last.
 */
export async function grantorOf(
  transaction: Knex,
  { users, administrativePermission }: Grantors,
  grantedBy: string | undefined,
  given: { scope?: string | undefined; expiresAt?: Date | undefined } = {},
): Promise<RefuseUnheld> {
  if (grantedBy === undefined) return () => Promise.resolve()
  const isActive = flagOf(users.isActive, true)
  const isSuperuser = flagOf(users.isSuperuser, false)
  const { rows } = await transaction
    .raw<{ rows: GrantorRow[] }>(
      `with recursive held (role_id, lasts) as (
         select r.id, coalesce(a.expires_at, 'infinity') >= coalesce(?::timestamptz, 'infinity')
         from user_roles a join roles r on r.id = a.role_id
         where a.user_id = ? and r.is_active and (a.expires_at is null or a.expires_at > clock_timestamp())
           and (a.scope is null or a.scope = ?)
         union
         select r.id, h.lasts from held h join role_inherits i on i.role_id = h.role_id
         join roles r on r.id = i.inherited_role_id where r.is_active
       ), names as (
         select p.name, bool_or(h.lasts) as lasts
         from held h join role_permissions rp using (role_id) join permissions p on p.id = rp.permission_id
         where p.is_active
         group by p.name
       )
       select ${isActive.sql} as "isActive", ${isSuperuser.sql} as "isSuperuser",
         array(select name from names) as "heldNow", array(select name from names where lasts) as "heldAsLong",
         exists (select from permissions where name = ? and is_active) as "isAdministered"
       from ?? u where u.?? = ? and u.??::text = ?`,
      [
        given.expiresAt ?? null,
        grantedBy,
        given.scope ?? null,
        ...isActive.bindings,
        ...isSuperuser.bindings,
        administrativePermission ?? null,
        users.table,
        users.id,
        grantedBy,
        users.id,
        grantedBy,
      ],
    )
    .catch((error: unknown) => {
      throw isUnreadableKey(error) ? new UnknownUserError(grantedBy) : error
    })
  const [grantor] = rows
  if (!grantor) throw new UnknownUserError(grantedBy)
  if (mayGrantAll(grantor, administrativePermission)) return () => Promise.resolve()
  const held = new Set(grantor.isActive ? grantor.heldAsLong : [])
  return async roleId => {
    const missing = (await grantsOf(transaction, roleId)).filter(name => !covers(held, name))
    if (missing.length > 0) throw new GrantNotHeldError(grantedBy, missing)
  }
}

interface GrantorRow {
  readonly isActive: boolean
  readonly isSuperuser: boolean
  readonly heldNow: readonly string[]
  readonly heldAsLong: readonly string[]
  /** The administrative permission is not switched off. */
  readonly isAdministered: boolean
}

function mayGrantAll(grantor: GrantorRow, administrativePermission: string | undefined): boolean {
  if (!grantor.isActive) return false
  if (grantor.isSuperuser) return true
  if (administrativePermission === undefined || !grantor.isAdministered) return false
  return covers(new Set(grantor.heldNow), administrativePermission)
}

/** A wildcard is held by holding it or a wider one: to hold every permission of today is not to hold tomorrow's. */
function covers(held: ReadonlySet<string>, name: string): boolean {
  return held.has(name) || held.has('*') || held.has(`${name.slice(0, name.indexOf(':'))}:*`)
}

/** As if the role and what it inherits were active: it may be switched on later by somebody who is not asked. */
async function grantsOf(transaction: Knex, roleId: string): Promise<string[]> {
  const { rows } = await transaction.raw<{ rows: { name: string }[] }>(
    `with recursive granted (role_id) as (
       select ?::uuid
       union
       select i.inherited_role_id from granted g join role_inherits i on i.role_id = g.role_id
     )
     select distinct p.name from granted join role_permissions rp using (role_id)
     join permissions p on p.id = rp.permission_id order by p.name`,
    [roleId],
  )
  return rows.map(row => row.name)
}
