import type { Knex } from 'knex'

/** A connection of `pg` on which the caller has begun a transaction. */
export interface PgTransaction {
  /** Runs a statement whose values are written `$1`, `$2` and so on. */
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>
}

/** The caller's transaction: knex's or Objection's (it is the same), or a client of `pg`. */
export type Transaction = Knex.Transaction | PgTransaction

/** Runs one statement, written with `?` for its values, in the caller's transaction. */
export async function run(
  transaction: Transaction | Knex,
  sql: string,
  values: readonly unknown[],
): Promise<unknown[]> {
  if (isPg(transaction)) {
    let count = 0
    const numbered = sql.replaceAll('?', () => `$${++count}`)
    return (await transaction.query(numbered, [...values])).rows
  }
  const result = await transaction.raw<{ rows: unknown[] }>(sql, values as Knex.RawBinding[])
  return result.rows
}

/** Calls back after the outermost transaction has ended. With `pg` nobody tells: the caller does. */
export function afterCommit(transaction: Transaction, callback: () => void): void {
  if (isPg(transaction)) return
  let outermost: Knex.Transaction = transaction
  while (outermost.parentTransaction) outermost = outermost.parentTransaction
  outermost.executionPromise.then(callback, callback)
}

function isPg(transaction: Transaction | Knex): transaction is PgTransaction {
  return typeof transaction !== 'function'
}
