/**
 * Names the application's own table of users and its columns, for an application that has one already.
 *
 * @example
 * ```ts
 * import type { UsersTable } from '@countersign/rbac-core/objection'
 *
 * const accounts: UsersTable = { table: 'auth.accounts', id: 'account_id', isActive: 'enabled', isSuperuser: false }
 * ```
 */
export interface UsersTable {
  /** The table, with its schema if it is not on the search path. */
  readonly table: string
  /** The primary key, of any type. @defaultValue `'id'` */
  readonly id?: string | undefined
  /** A boolean column; `false` where the table has none, so that every user counts as active. @defaultValue `'is_active'` */
  readonly isActive?: string | false | undefined
  /** A boolean column; `false` where the table has none, so that nobody is a superuser. @defaultValue `'is_superuser'` */
  readonly isSuperuser?: string | false | undefined
}

/** `true` stands for the table that `migrations` creates itself. */
export type Users = true | UsersTable

export type ResolvedUsersTable = Required<{ [K in keyof UsersTable]: Exclude<UsersTable[K], undefined> }>

export function resolveUsers(users: Users | undefined): ResolvedUsersTable {
  const given: UsersTable = users === undefined || users === true ? { table: 'users' } : users
  return {
    table: given.table,
    id: given.id ?? 'id',
    isActive: given.isActive ?? 'is_active',
    isSuperuser: given.isSuperuser ?? 'is_superuser',
  }
}

/** A boolean SQL expression over the table's alias `u`, with its identifiers as bindings; null counts as false. */
export function flagOf(column: string | false, without: boolean): { sql: string; bindings: string[] } {
  return column === false
    ? { sql: String(without), bindings: [] }
    : { sql: 'coalesce(??, false)', bindings: [`u.${column}`] }
}

/** A string that cannot be a key at all (no uuid, no number, too large a number, a NUL) names a user nobody knows. */
export function isUnreadableKey(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === '22P02' || code === '22003' || code === '22021'
}
