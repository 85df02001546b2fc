import type { AuditRow } from '../audit-event.ts'
import type { AuditFilter } from '../audit-filter.ts'
import type { SinkPage } from './audit-sink.ts'

/** Where audit rows are kept. `Transaction` is the type of the caller's open transaction. */
export interface AuditStore<Transaction = unknown> {
  /** Tells whether `value` is an open transaction that `insert` can write in. */
  isTransaction(value: unknown): value is Transaction

  /** Writes the row as part of `transaction`: it commits or rolls back with it. */
  insert(row: AuditRow, transaction: Transaction): Promise<void>

  /** Writes the rows and resolves once they are durable. A row whose id is there already is left as it is. */
  insertDurably(rows: readonly AuditRow[]): Promise<void>

  /** Tells whether a failure lies in the rows themselves, so that sending the same again cannot help. */
  isRowFault(error: unknown): boolean

  /** Returns at most `limit` rows in the filter's order, those after the row `afterId` where it is given. */
  page(filter: AuditFilter, limit: number, afterId?: string): Promise<readonly AuditRow[]>

  /**
   * Returns at most `limit` rows that the sink of this name has yet to get, in the order of their transactions. No committed
   * row is left out, whatever the order of commits. Undefined where there are none or another process feeds the sink.
   */
  pageFor(sink: string, limit: number): Promise<SinkPage | undefined>
}
