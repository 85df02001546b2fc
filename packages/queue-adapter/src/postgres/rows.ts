import type { Knex } from 'knex'
import type { MessageHeaders, Priority } from '../message.ts'
import type { PreparedMessage } from '../prepare.ts'
import { run } from './transaction.ts'

/** One row as it is read; `position` is a bigint and stays a text. */
export interface OutboxRow {
  readonly position: string
  readonly message: PreparedMessage
}

interface RawRow {
  position: string
  message_id: string
  kind: 'task' | 'event'
  name: string
  priority: Priority
  headers: MessageHeaders
  body: Buffer
}

const columns = 'position, message_id, kind, name, priority, headers, body'

/** Locks the oldest rows that are due and that no other relay has. */
export async function lockRows(transaction: Knex, limit: number): Promise<OutboxRow[]> {
  const sql = `select ${columns} from queue_outbox where available_at <= now()
    order by position limit ? for update skip locked`
  return ((await run(transaction, sql, [limit])) as RawRow[]).map(rowOf)
}

/** Takes rows for a while without holding a transaction open; whoever took them renews the lease or loses them. */
export async function leaseRows(knex: Knex, limit: number, leaseMs: number): Promise<OutboxRow[]> {
  const sql = `update queue_outbox set available_at = clock_timestamp() + ? * interval '1 millisecond' where position in (
      select position from queue_outbox where available_at <= now() order by position limit ? for update skip locked
    ) returning ${columns}`
  const rows = ((await run(knex, sql, [leaseMs, limit])) as RawRow[]).map(rowOf)
  return rows.sort((a, b) => (BigInt(a.position) < BigInt(b.position) ? -1 : 1))
}

/** Sets when rows may be taken again: renews leases, or gives them up with zero. */
export async function availableIn(knex: Knex, positions: readonly string[], ms: number): Promise<void> {
  if (positions.length === 0) return
  const sql = `update queue_outbox set available_at = clock_timestamp() + ? * interval '1 millisecond'
    where position = any(?::bigint[])`
  await run(knex, sql, [ms, positions])
}

export async function deleteRows(knex: Knex, positions: readonly string[]): Promise<void> {
  if (positions.length === 0) return
  await run(knex, 'delete from queue_outbox where position = any(?::bigint[])', [positions])
}

/** Lets a row rest that the queue refuses, twice as long each time up to a minute, so that it does not hold up others. */
export async function postponeRow(knex: Knex, position: string, error: Error): Promise<void> {
  const sql = `update queue_outbox set attempts = attempts + 1, last_error = ?,
    available_at = clock_timestamp() + least(60, power(2, least(attempts, 6))) * interval '1 second' where position = ?`
  await run(knex, sql, [error.message.slice(0, 1000), position])
}

function rowOf(raw: RawRow): OutboxRow {
  const { position, message_id: id, kind, name, priority, headers, body } = raw
  return { position, message: { id, kind, name, priority, headers, body } }
}
