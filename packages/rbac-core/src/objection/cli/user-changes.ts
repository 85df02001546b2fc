import type { Knex } from 'knex'
import type { PermittedScopes } from '../../access.ts'
import type { Policy } from '../../policy.ts'
import { flagOf, type ResolvedUsersTable } from '../users-table.ts'
import { compiled, type PolicyDefinition } from './policy-file.ts'
import { shown, sorted } from './shown.ts'

/** Roles and scopes that users hold, and how many active users hold exactly these. */
export interface Holdings {
  readonly assignments: readonly (readonly [role: string, scope: string | null])[]
  readonly users: number
}

/** Counts the active users by what they hold. Superusers have everything, whatever the roles are. */
export async function holdingsOf(knex: Knex, users: ResolvedUsersTable): Promise<Holdings[]> {
  const isActive = flagOf(users.isActive, true)
  const isSuperuser = flagOf(users.isSuperuser, false)
  const { rows } = await knex.raw<{ rows: { assignments: string; users: number }[] }>(
    `select assignments, count(*)::integer as users from (
       select json_agg(json_build_array(r.name, a.scope) order by r.name, a.scope)::text as assignments
       from user_roles a join roles r on r.id = a.role_id join ?? u on u.?? = a.user_id
       where (a.expires_at is null or a.expires_at > statement_timestamp()) and ${isActive.sql} and not ${isSuperuser.sql}
       group by a.user_id
     ) held group by assignments`,
    [users.table, users.id, ...isActive.bindings, ...isSuperuser.bindings],
  )
  return rows.map(row => ({ assignments: JSON.parse(row.assignments) as Holdings['assignments'], users: row.users }))
}

/** Says how many users gain or lose each permission, in any scope. */
export function userChanges(
  before: PolicyDefinition,
  after: PolicyDefinition,
  holdings: readonly Holdings[],
): string[] {
  const names = sorted(new Set([...before.permissions, ...after.permissions]))
  const old = compiledForSessions(before)
  const now = compiledForSessions(after)
  const gain = new Map<string, number>()
  const loss = new Map<string, number>()
  let gaining = 0
  let losing = 0
  for (const held of holdings) {
    const was = scopesOf(old, held, names)
    const is = scopesOf(now, held, names)
    const gained = names.filter((_, index) => exceeds(is[index]!, was[index]!))
    const lost = names.filter((_, index) => exceeds(was[index]!, is[index]!))
    for (const name of gained) gain.set(name, (gain.get(name) ?? 0) + held.users)
    for (const name of lost) loss.set(name, (loss.get(name) ?? 0) + held.users)
    if (gained.length > 0) gaining += held.users
    if (lost.length > 0) losing += held.users
  }
  return [
    `users who gain: ${gaining}, who lose: ${losing}`,
    ...sorted(new Set([...gain.keys(), ...loss.keys()])).map(
      name => `    ${shown(name)}: ${gain.get(name) ?? 0} gain, ${loss.get(name) ?? 0} lose`,
    ),
  ]
}

/** A dynamic rule limits a session; the question here is what all sessions of a user together may do. */
function compiledForSessions(definition: PolicyDefinition): Policy | undefined {
  return compiled({ ...definition, separationOfDuty: [] })
}

const nowhere: PermittedScopes = { everywhere: false, scopes: [] }

function scopesOf(policy: Policy | undefined, held: Holdings, names: readonly string[]): PermittedScopes[] {
  const roles = held.assignments.map(([role, scope]) => ({ role, ...(scope !== null && { scope }) }))
  const access = policy?.accessFor({ id: 'user', roles })
  return names.map(name => (policy?.catalog.has(name) && access ? access.scopesWith(name) : nowhere))
}

function exceeds(a: PermittedScopes, b: PermittedScopes): boolean {
  if (b.everywhere) return false
  return a.everywhere || a.scopes.some(scope => !b.scopes.includes(scope))
}
