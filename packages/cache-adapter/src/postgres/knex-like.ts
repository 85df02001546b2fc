/** What is used of Knex: raw SQL with bound values. A Knex instance or transaction over PostgreSQL fits. */
export interface KnexLike {
  raw(sql: string, bindings: readonly SqlValue[]): PromiseLike<unknown>
}

/** A value that is bound to a statement. */
export type SqlValue = string | number | Date | null

/** Runs a statement and resolves to its rows, as node-postgres hands them out. */
export async function rowsOf<R>(knex: KnexLike, sql: string, bindings: readonly SqlValue[]): Promise<readonly R[]> {
  const result = (await knex.raw(sql, bindings)) as { rows: R[] }
  return result.rows
}
