import type { Knex } from 'knex'
import type { PermissionCatalog } from '../catalog.ts'
import { assignmentWrites, type AssignmentWrites } from './assignments.ts'
import type { Grantors } from './grantors.ts'
import { reviews, type Reviews } from './reviews.ts'
import { roleWrites, type RoleWrites } from './roles.ts'
import { separationWrites, type SeparationWrites } from './separation.ts'
import { resolveUsers, type Users } from './users-table.ts'

/** Administers roles, assignments and separation rules, and reviews them. Every write returns the version after it. */
export interface RoleAdmin<Permission extends string = string>
  extends RoleWrites<Permission>, AssignmentWrites, SeparationWrites, Reviews<Permission> {}

/**
 * Creates the functions that administer roles, assignments and separation rules in PostgreSQL.
 *
 * Each write runs in the caller's transaction or in one of its own, takes its turn among all writes, and returns the
 * version after it: `accessFor(id, { atLeast: version })` then answers from that state or a later one.
 *
 * @param options.knex - a Knex instance over `pg`, after `migrations` and `syncCatalog`.
 * @param options.permissions - the catalog.
 * @param options.users - the same value that `migrations` was given. @defaultValue `true`
 * @param options.administrativePermission - lets its holder grant what they do not hold themselves; without it only a
 *   superuser may.
 *
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { createRoleAdmin } from '@countersign/rbac-core/objection'
 * import knexOf from 'knex'
 *
 * const knex = knexOf({ client: 'pg', connection: process.env.DATABASE_URL ?? '' })
 * const admin = createRoleAdmin({ knex, permissions: definePermissions({ document: ['read'] }) })
 * await admin.createRole({ name: 'reviewer', permissions: ['document:read'], inherits: [] })
 * const version = await admin.assign('7b0c…', 'reviewer', { scope: 'team:7', reason: 'ticket 42' })
 * ```
 */
export function createRoleAdmin<Permission extends string>(options: {
  knex: Knex
  permissions: PermissionCatalog<Permission>
  users?: Users | undefined
  administrativePermission?: NoInfer<Permission> | undefined
}): RoleAdmin<Permission> {
  const { knex, permissions, administrativePermission } = options
  if (administrativePermission !== undefined) permissions.indexOf(administrativePermission)
  const grantors: Grantors = { users: resolveUsers(options.users), administrativePermission }
  return {
    ...roleWrites<Permission>(knex, grantors),
    ...assignmentWrites(knex, grantors),
    ...separationWrites(knex),
    ...reviews<Permission>({ knex, permissions, users: options.users, administrativePermission }),
  }
}
