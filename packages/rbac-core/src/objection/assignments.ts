import type { Knex } from 'knex'
import { InvalidDefinitionError } from '../errors.ts'
import type { GrantVersion } from '../grant-store.ts'
import { checkName, checkText } from './check-text.ts'
import { UnknownUserError } from './errors.ts'
import { grantorOf, type Grantors } from './grantors.ts'
import type { GrantOptions } from './roles.ts'
import { refuseViolations } from './separation.ts'
import { findRole } from './stored-role.ts'
import { isUnreadableKey, type ResolvedUsersTable } from './users-table.ts'
import { write, type TransactionOptions } from './write.ts'

/** The options of `assign`. */
export interface AssignOptions extends GrantOptions {
  /** Where the role holds, for instance `team:7`; without a scope it holds everywhere. */
  readonly scope?: string | undefined
  /** When the assignment ends by itself; without it never. */
  readonly expiresAt?: Date | undefined
  /** Why it was given, kept with it. */
  readonly reason?: string | undefined
}

export interface AssignmentWrites {
  /**
   * Gives a role to a user. A second assignment of the same role in the same scope replaces the first one's expiry,
   * reason and grantor. Throws `UNKNOWN_USER`, `UNKNOWN_ROLE`, `SEPARATION_OF_DUTY`, `GRANT_NOT_HELD`.
   */
  assign(userId: string, role: string, options?: AssignOptions): Promise<GrantVersion>
  /** Takes a role from a user, in exactly this scope; one that is not assigned is no error. */
  unassign(
    userId: string,
    role: string,
    options?: TransactionOptions & { readonly scope?: string | undefined },
  ): Promise<GrantVersion>
}

export function assignmentWrites(knex: Knex, grantors: Grantors): AssignmentWrites {
  return {
    assign: (userId, role, options = {}) =>
      write(knex, options, async transaction => {
        checkOptions(options)
        await lockUser(transaction, grantors.users, userId)
        const { id: roleId } = await findRole(transaction, role, 'assign')
        const refuseUnheld = await grantorOf(transaction, grantors, options.grantedBy, options)
        await refuseUnheld(roleId)
        await transaction.raw(
          `insert into user_roles (user_id, role_id, scope, expires_at, granted_by, reason) values (?, ?, ?, ?, ?, ?)
           on conflict (user_id, role_id, scope) do update set expires_at = excluded.expires_at,
             granted_by = excluded.granted_by, granted_at = excluded.granted_at, reason = excluded.reason`,
          [
            userId,
            roleId,
            options.scope ?? null,
            options.expiresAt ?? null,
            options.grantedBy ?? null,
            options.reason ?? null,
          ],
        )
        await refuseViolations(transaction, userId)
      }),

    unassign: (userId, role, options = {}) =>
      write(knex, options, async transaction => {
        if (options.scope !== undefined) checkName('scope', options.scope)
        const { id: roleId } = await findRole(transaction, role, 'unassign')
        await lockUser(transaction, grantors.users, userId)
        await transaction('user_roles')
          .where({ user_id: userId, role_id: roleId })
          .whereRaw('scope is not distinct from ?', [options.scope ?? null])
          .delete()
      }),
  }
}

function checkOptions({ scope, expiresAt, reason }: AssignOptions): void {
  if (scope !== undefined) checkName('scope', scope)
  checkText('reason', reason)
  if (expiresAt !== undefined && !(expiresAt instanceof Date && !Number.isNaN(expiresAt.getTime()))) {
    throw new InvalidDefinitionError('expiresAt', 'expected a valid Date')
  }
}

/** The key share lock is the foreign key's own: the user cannot be deleted meanwhile, and can still be updated. */
async function lockUser(transaction: Knex, users: ResolvedUsersTable, userId: string): Promise<void> {
  const { rows } = await transaction
    .raw<{ rows: unknown[] }>('select from ?? u where u.?? = ? and u.??::text = ? for key share', [
      users.table,
      users.id,
      userId,
      users.id,
      userId,
    ])
    .catch((error: unknown) => {
      throw isUnreadableKey(error) ? new UnknownUserError(userId) : error
    })
  if (rows.length === 0) throw new UnknownUserError(userId)
}
