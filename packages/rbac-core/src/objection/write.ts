import type { Knex } from 'knex'
import type { GrantVersion } from '../grant-store.ts'

/** The option that every function of the administration takes. */
export interface TransactionOptions {
  /** The caller's transaction: a write commits with it, a review reads in it. Without one a write opens its own. */
  readonly transaction?: Knex.Transaction | undefined
}

/**
 * Runs a write and returns the version after it, which other processes see when the transaction has committed.
 *
 * Rules over several rows (separation of duty, cycles, who may grant) are write skew, so writes go one at a time. They
 * lock what the triggers are going to lock anyway, the version's row, only before they read instead of after. A lock of
 * its own beside it, or one on the user, could be taken in another order by raw SQL and deadlock. Under `repeatable
 * read` a write on an older snapshot fails here with a serialization error instead of slipping past a rule.
 *
 * In the caller's transaction it works in a savepoint: a caller that catches the error and commits keeps nothing of it.
 */
export async function write(
  knex: Knex,
  options: TransactionOptions | undefined,
  work: (transaction: Knex.Transaction) => Promise<unknown>,
): Promise<GrantVersion> {
  return (options?.transaction ?? knex).transaction(async transaction => {
    await transaction.raw('select from rbac_version for update')
    await work(transaction)
    const { rows } = await transaction.raw<{ rows: { version: string }[] }>('select version from rbac_version')
    return Number(rows[0]?.version)
  })
}
