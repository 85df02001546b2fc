import type { Knex } from 'knex'
import { flagOf, type ResolvedUsersTable } from './users-table.ts'

/** Who has a permission, and from what. */
export interface PermissionHolder {
  readonly userId: string
  /** True for a superuser, who has it everywhere whatever the roles are. */
  readonly isSuperuser: boolean
  readonly everywhere: boolean
  /** The scopes of assignments that give it. */
  readonly scopes: readonly string[]
  /** The assigned roles that give it, by themselves or by inheritance. */
  readonly roles: readonly string[]
}

/** The condition on `user_roles a` that leaves out what has ended. */
export const unexpired = '(a.expires_at is null or a.expires_at > statement_timestamp())'

/** Where a permission must be held: somewhere, everywhere, or in one scope, where what holds everywhere counts too. */
export type Where = 'somewhere' | 'everywhere' | { readonly scope: string }

/** Lists the active users who have one of these permissions there, in the order of their ids. */
export async function holdersOf(
  database: Knex,
  users: ResolvedUsersTable,
  permissions: readonly string[],
  { where, limit, after }: { where: Where; limit: number; after?: string | undefined },
): Promise<PermissionHolder[]> {
  const isActive = flagOf(users.isActive, true)
  const isSuperuser = flagOf(users.isSuperuser, false)
  const there = conditionOf(where)
  const { rows } = await database.raw<{ rows: PermissionHolder[] }>(
    `with recursive asked as (
       select name from unnest(?::text[]) as name
       where name not in (select p.name from permissions p where not p.is_active)
     ), granting (role_id) as (
       select r.id
       from asked
       join permissions p on p.name in (asked.name, split_part(asked.name, ':', 1) || ':*', '*') and p.is_active
       join role_permissions rp on rp.permission_id = p.id
       join roles r on r.id = rp.role_id
       where r.is_active
       union
       select r.id from granting g join role_inherits i on i.inherited_role_id = g.role_id
       join roles r on r.id = i.role_id where r.is_active
     ), holding as (
       select a.user_id, bool_or(a.scope is null) as everywhere,
         array_agg(distinct a.scope order by a.scope) filter (where a.scope is not null) as scopes,
         array_agg(distinct r.name order by r.name) as roles
       from granting join user_roles a using (role_id) join roles r on r.id = a.role_id
       where ${unexpired} and ${there.sql}
       group by a.user_id
     ), active as (
       select u.?? as user_id, ${isSuperuser.sql} as is_superuser from ?? u where ${isActive.sql}
     )
     select a.user_id::text as "userId", a.is_superuser as "isSuperuser",
       a.is_superuser or coalesce(h.everywhere, false) as everywhere,
       coalesce(h.scopes, '{}') as scopes, coalesce(h.roles, '{}') as roles
     from active a left join holding h using (user_id)
     where (a.is_superuser or h.user_id is not null) ${after === undefined ? '' : 'and a.user_id > ?'}
     order by a.user_id limit ?`,
    [
      [...permissions],
      ...there.bindings,
      users.id,
      ...isSuperuser.bindings,
      users.table,
      ...isActive.bindings,
      ...(after === undefined ? [] : [after]),
      limit,
    ],
  )
  return rows
}

function conditionOf(where: Where): { sql: string; bindings: string[] } {
  if (where === 'somewhere') return { sql: 'true', bindings: [] }
  if (where === 'everywhere') return { sql: 'a.scope is null', bindings: [] }
  return { sql: '(a.scope is null or a.scope = ?)', bindings: [where.scope] }
}
