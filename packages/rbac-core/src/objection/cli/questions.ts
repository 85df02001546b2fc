import type { Knex } from 'knex'
import { createAuthorizer, type AuthorizerExplanation } from '../../authorizer.ts'
import { catalogOf, type PermissionCatalog } from '../../catalog.ts'
import { SeparationOfDutyError } from '../../errors.ts'
import type { Obstacle } from '../../explain.ts'
import { objectionGrantStore } from '../grant-store.ts'
import type { PermissionHolder } from '../reviews.ts'
import { createRoleAdmin } from '../role-admin.ts'
import type { UsersTable } from '../users-table.ts'
import type { PolicyFile } from './policy-file.ts'
import { InputError } from './input-error.ts'
import { shown, shownAll } from './shown.ts'
import { storedNames } from './stored-policy.ts'

/** A permission, everywhere or in a scope, and the users it is asked about. */
export interface Asked {
  readonly users: UsersTable
  readonly permission: string
  readonly scope: string | undefined
}

/** Explains why a user has a permission or not, and who may grant it. */
export async function explainUser(
  knex: Knex,
  userId: string,
  { users, permission, scope, administrativePermission }: Asked & { administrativePermission: string | undefined },
): Promise<{ allowed: boolean; lines: string[] }> {
  const permissions = await storedCatalog(knex)
  const store = objectionGrantStore({ knex, users })
  const authorizer = createAuthorizer({ permissions, store, administrativePermission, maxStalenessMs: 60_000 })
  try {
    const why = await authorizer.explain(userId, permission, { scope })
    const lines = explanationLines(why)
    return { allowed: why.allowed, lines }
  } catch (error) {
    // The user's roles may not be in use together, so that there is no access at all.
    if (!SeparationOfDutyError.isInstance(error)) throw error
    return { allowed: false, lines: ['denied: separation-of-duty', error.message] }
  } finally {
    await authorizer.close()
  }
}

/** Lists everybody who has a permission, a line each. */
export async function whoCan(knex: Knex, { users, permission, scope }: Asked): Promise<string[]> {
  const admin = createRoleAdmin({ knex, permissions: await storedCatalog(knex), users })
  const lines: string[] = []
  const limit = 1000
  let page: readonly PermissionHolder[]
  let after: string | undefined
  do {
    page = await admin.usersWith(permission, { scope, limit, after })
    lines.push(...page.map(holderLine))
    after = page.at(-1)?.userId
  } while (page.length === limit)
  return lines
}

/** Compares the catalog of a policy with the rows of the database, both ways. */
export async function driftLines(knex: Knex, policy: PolicyFile): Promise<string[]> {
  const { permissions, wildcards, inactive } = await storedNames(knex)
  const stored = new Set(permissions)
  const resources = new Set(policy.permissions.map(name => name.slice(0, name.indexOf(':'))))
  const unknown = [
    ...permissions.filter(name => !policy.permissionPaths.has(name)),
    ...wildcards.filter(name => name !== '*' && !resources.has(name.slice(0, name.indexOf(':')))),
  ]
  const granting = await knex('role_permissions as g')
    .join('permissions as p', 'p.id', 'g.permission_id')
    .join('roles as r', 'r.id', 'g.role_id')
    .whereIn('p.name', unknown)
    .select<{ permission: string; role: string }[]>('p.name as permission', 'r.name as role')
  return [
    ...[...policy.permissionPaths]
      .filter(([name]) => !stored.has(name))
      .map(([name, path]) => policy.source.at(path, `${shown(name)} has no row in the database`)),
    ...unknown.map(name => {
      const roles = granting.filter(({ permission }) => permission === name).map(({ role }) => role)
      const granted = roles.length === 0 ? '' : `, and is granted by ${shownAll(roles)}`
      return `database: ${shown(name)} is not in ${policy.source.file}${granted}`
    }),
    ...inactive
      .filter(name => policy.permissionPaths.has(name))
      .map(name => `database: ${shown(name)} is switched off, so that nobody has it but superusers`),
  ]
}

async function storedCatalog(knex: Knex): Promise<PermissionCatalog> {
  const { permissions } = await storedNames(knex)
  if (permissions.length === 0)
    throw new InputError(['the database has no permissions: run syncCatalog, or apply a policy'])
  return catalogOf(permissions)
}

function holderLine({ userId, isSuperuser, everywhere, scopes, roles }: PermissionHolder): string {
  if (isSuperuser) return `${shown(userId)} everywhere, as superuser`
  return `${shown(userId)} ${everywhere ? 'everywhere' : `in ${shownAll(scopes)}`}, by ${shownAll(roles)}`
}

function explanationLines(why: AuthorizerExplanation): string[] {
  const lines = [`${why.allowed ? 'allowed' : 'denied'}: ${why.reason}`]
  for (const path of why.paths ?? []) lines.push(`by: ${path.map(shown).join(' > ')}`)
  if (why.wouldBeGrantedBy.length > 0) lines.push(`would be granted by: ${why.wouldBeGrantedBy.map(shown).join(', ')}`)
  for (const obstacle of why.inTheWay ?? []) lines.push(`in the way: ${obstacleText(obstacle)}`)
  const grantors = why.mayBeGrantedBy ?? []
  if (grantors.length > 0) lines.push(`may be granted by: ${shownAll(grantors)}`)
  return lines
}

function obstacleText(obstacle: Obstacle): string {
  const role = shown(obstacle.role)
  switch (obstacle.kind) {
    case 'scope':
      return `${role} is held in ${shown(obstacle.scope)} only`
    case 'inactive-role':
      return `${role} is held, and is or inherits through an inactive role`
    case 'not-activated':
      return `${role} is held and not in use`
    case 'separation':
      return `the rule ${shown(obstacle.rule)} forbids ${role} beside ${shownAll(obstacle.roles)}`
  }
}
