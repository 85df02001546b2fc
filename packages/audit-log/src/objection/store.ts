import type { Knex } from 'knex'
import { randomUUID } from 'node:crypto'
import type { AuditRow } from '../audit-event.ts'
import type { AuditStore } from '../storage/audit-store.ts'
import { carryAuditContext } from './carry-context.ts'
import { insertRows } from './columns.ts'
import { selectPage } from './page.ts'
import { sinkPage } from './sink-page.ts'

/** Options of `postgresAuditStore`. */
export interface PostgresAuditStoreOptions {
  /** A knex of the database with the `audit_logs` table. It is made to carry the audit context, too. */
  readonly knex: Knex
}

// After this long without an answer a connection is given up, so that a dead server cannot hold all rows.
const answerWithinMs = 10_000

/**
 * Keeps the audit log in PostgreSQL, in the table that `migrations` makes.
 *
 * @param options - The knex to write and read with.
 * @returns The store for `createAuditLog`.
 */
export function postgresAuditStore({ knex }: PostgresAuditStoreOptions): AuditStore<Knex.Transaction> {
  carryAuditContext(knex)
  const owner = randomUUID()
  return {
    isTransaction: isOpenTransaction,
    async insert(row, transaction) {
      await transaction.raw(insertRows, [JSON.stringify([row])])
    },
    async insertDurably(rows) {
      await knex.raw(insertRows, [JSON.stringify(rows)]).timeout(answerWithinMs)
    },
    isRowFault,
    page: async (filter, limit, afterId) => {
      const { sql, bindings } = selectPage(filter, limit, afterId)
      const { rows } = await knex.raw<{ rows: AuditRow[] }>(sql, bindings)
      return rows
    },
    pageFor: (sink, limit) => sinkPage(knex, owner, sink, limit),
  }
}

function isOpenTransaction(value: unknown): value is Knex.Transaction {
  if (typeof value !== 'function' || !('isTransaction' in value) || value.isTransaction !== true) return false
  return !(value as unknown as Knex.Transaction).isCompleted()
}

/** SQLSTATE classes 22 (data), 23 (constraint; also "no partition for this time") and 54 (limit exceeded). */
function isRowFault(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^(22|23|54)[0-9A-Z]{3}$/.test(code)
}
