import type { Knex } from 'knex'
import type { PermittedScopes } from '../access.ts'
import type { PermissionCatalog } from '../catalog.ts'
import { InvalidDefinitionError } from '../errors.ts'
import { compilePolicy } from '../policy.ts'
import { UnknownUserError } from './errors.ts'
import { objectionGrantStore } from './grant-store.ts'
import { holdersOf, unexpired, type PermissionHolder } from './holders.ts'
import { findRole } from './stored-role.ts'
import { isUnreadableKey, resolveUsers, type Users } from './users-table.ts'
import type { TransactionOptions } from './write.ts'

export type { PermissionHolder }

/** A role as an administrator sees it. */
export interface RoleDetails {
  readonly name: string
  readonly description: string
  readonly isActive: boolean
  readonly isSystem: boolean
  readonly permissions: readonly string[]
  readonly inherits: readonly string[]
  /** Goes to a write as `ifUpdatedAt`. */
  readonly updatedAt: Date
}

/** An assignment as an administrator sees it; `null` where nothing was given. */
export interface AssignmentDetails {
  readonly userId: string
  readonly role: string
  readonly scope: string | null
  readonly expiresAt: Date | null
  readonly grantedBy: string | null
  readonly grantedAt: Date
  readonly reason: string | null
}

/** A page of a list that is ordered by user. */
export interface PageOptions extends TransactionOptions {
  /** How many users at most, 1 to 10,000. @defaultValue `1000` */
  readonly limit?: number | undefined
  /** Only users after this one, the last of the page before. */
  readonly after?: string | undefined
}

/** The review functions of ANSI INCITS 359, over what is in effect now: expired assignments do not count. */
export interface Reviews<Permission extends string> {
  /** Lists all roles. */
  roles(options?: TransactionOptions): Promise<RoleDetails[]>
  /** Lists a user's assignments, also of inactive roles. Throws `UNKNOWN_USER`. */
  rolesOf(userId: string, options?: TransactionOptions): Promise<AssignmentDetails[]>
  /**
   * Lists the assignments of a role, and with `inherited` those of the active roles that inherit it, for as many users
   * as the page holds. Throws `UNKNOWN_ROLE`.
   */
  usersIn(role: string, options?: PageOptions & { inherited?: boolean | undefined }): Promise<AssignmentDetails[]>
  /**
   * Lists the active users who have a permission, by role, inheritance, wildcard or as superusers; with `scope` only
   * those who have it there. Throws `UNKNOWN_PERMISSION`.
   */
  usersWith(permission: Permission, options?: PageOptions & { scope?: string | undefined }): Promise<PermissionHolder[]>
  /**
   * Lists the active users who may grant a permission: those who have it themselves, those who have the
   * `administrativePermission`, and superusers. Throws `UNKNOWN_PERMISSION`.
   */
  grantorsOf(
    permission: Permission,
    options?: PageOptions & { scope?: string | undefined },
  ): Promise<PermissionHolder[]>
  /** Lists what a role grants, inherited roles and wildcards resolved. Throws `UNKNOWN_ROLE`. */
  permissionsOfRole(role: string, options?: TransactionOptions): Promise<readonly Permission[]>
  /** Lists what a user may do, and where, with all roles in use. Throws `UNKNOWN_USER`. */
  permissionsOfUser(
    userId: string,
    options?: TransactionOptions,
  ): Promise<({ readonly permission: Permission } & PermittedScopes)[]>
}

export function reviews<Permission extends string>(options: {
  knex: Knex
  permissions: PermissionCatalog<Permission>
  users?: Users | undefined
  administrativePermission?: Permission | undefined
}): Reviews<Permission> {
  const { knex, permissions, administrativePermission } = options
  const users = resolveUsers(options.users)

  const refuseUnknownUser = async (database: Knex, userId: string): Promise<void> => {
    const found = await rowsOf(database, 'select from ?? u where u.?? = ? and u.??::text = ?', [
      users.table,
      users.id,
      userId,
      users.id,
      userId,
    ]).catch((error: unknown) => {
      throw isUnreadableKey(error) ? new UnknownUserError(userId) : error
    })
    if (found.length === 0) throw new UnknownUserError(userId)
  }

  const pageOfHolders = async (
    asked: readonly Permission[],
    { scope, transaction, ...page }: PageOptions & { scope?: string | undefined } = {},
  ): Promise<PermissionHolder[]> => {
    for (const permission of asked) permissions.indexOf(permission)
    const where = scope === undefined ? 'somewhere' : { scope }
    return holdersOf(transaction ?? knex, users, asked, { where, limit: limitOf(page), after: page.after })
  }

  return {
    roles: ({ transaction } = {}) => rowsOf<RoleDetails>(transaction ?? knex, selectRoles, []),

    rolesOf: async (userId, { transaction } = {}) => {
      await refuseUnknownUser(transaction ?? knex, userId)
      return rowsOf<AssignmentDetails>(
        transaction ?? knex,
        `${selectAssignments} where a.user_id = ? and ${unexpired} order by r.name, a.scope nulls first`,
        [userId],
      )
    },

    usersIn: async (name, { inherited = false, transaction, ...page } = {}) => {
      const role = await findRole(transaction ?? knex, name)
      const inheriting = `
        union
        select r.id from asked k join role_inherits i on i.inherited_role_id = k.role_id
        join roles r on r.id = i.role_id where r.is_active`
      return rowsOf<AssignmentDetails>(
        transaction ?? knex,
        `with recursive asked (role_id) as (select ?::uuid ${inherited ? inheriting : ''}),
         page as (
           select distinct a.user_id from asked join user_roles a using (role_id)
           where ${unexpired} ${after('a.user_id', page)} order by 1 limit ?
         )
         ${selectAssignments} join asked using (role_id) join page using (user_id)
         where ${unexpired} order by a.user_id, r.name, a.scope nulls first`,
        [role.id, ...afterBindings(page), limitOf(page)],
      )
    },

    usersWith: (permission, page) => pageOfHolders([permission], page),

    grantorsOf: (permission, page) =>
      pageOfHolders(
        administrativePermission === undefined ? [permission] : [permission, administrativePermission],
        page,
      ),

    permissionsOfRole: async (role, { transaction } = {}) => {
      const store = objectionGrantStore({ knex: transaction ?? knex })
      return compilePolicy(permissions, await store.loadPolicy()).permissionsOf(role)
    },

    permissionsOfUser: async (id, { transaction } = {}) => {
      const store = objectionGrantStore({ knex: transaction ?? knex, users: options.users })
      const subject = await store.loadSubject(id)
      if (!subject) throw new UnknownUserError(id)
      // A dynamic rule limits a session; the question here is what all sessions of the user together may do.
      const policy = compilePolicy(permissions, { ...(await store.loadPolicy()), separationOfDuty: [] })
      const access = policy.accessFor({ ...subject, id, roles: subject.assignments })
      return permissions.names
        .map(permission => ({ permission, ...access.scopesWith(permission) }))
        .filter(held => held.everywhere || held.scopes.length > 0)
    },
  }
}

const selectAssignments = `
  select a.user_id::text as "userId", r.name as role, a.scope, a.expires_at as "expiresAt",
    a.granted_by::text as "grantedBy", a.granted_at as "grantedAt", a.reason
  from user_roles a join roles r on r.id = a.role_id`

const selectRoles = `
  select r.name, r.description, r.is_active as "isActive", r.is_system as "isSystem", r.updated_at as "updatedAt",
    array(select p.name from role_permissions rp join permissions p on p.id = rp.permission_id
      where rp.role_id = r.id order by p.name) as permissions,
    array(select i.name from role_inherits e join roles i on i.id = e.inherited_role_id
      where e.role_id = r.id order by i.name) as inherits
  from roles r order by r.name`

const longestPage = 10_000

function limitOf({ limit = 1000 }: PageOptions): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > longestPage) {
    throw new InvalidDefinitionError('limit', `expected an integer from 1 to ${longestPage}`)
  }
  return limit
}

function after(column: string, page: PageOptions): string {
  return page.after === undefined ? '' : `and ${column} > ?`
}

function afterBindings(page: PageOptions): string[] {
  return page.after === undefined ? [] : [page.after]
}

async function rowsOf<Row>(knex: Knex, sql: string, bindings: readonly Knex.RawBinding[]): Promise<Row[]> {
  return (await knex.raw<{ rows: Row[] }>(sql, [...bindings])).rows
}
