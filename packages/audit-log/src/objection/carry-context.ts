import type { Knex } from 'knex'
import { statementComment } from './statement-comment.ts'

interface Statement {
  sql: string
  options?: { name?: string | undefined } | undefined
}

/** What we need of knex's client for PostgreSQL; `_query` and `_stream` are its last step before the driver. */
interface PostgresClient {
  constructor: unknown
  _query(connection: unknown, statement: Statement): Promise<unknown>
  _stream(connection: unknown, statement: Statement, stream: unknown, options: unknown): Promise<unknown>
}

const carries = Symbol.for('countersign.audit-log.carries')

/**
 * Makes every statement of this knex, its transactions and savepoints carry the running audit context to the triggers of
 * audited tables, in a comment before the statement: no further round trip, nothing left behind on the connection.
 * Statements with a prepared statement's name are sent without the name, because their text now differs by context.
 *
 * @param knex - A knex of PostgreSQL, or one of its transactions. Doing it twice is the same as once.
 * @returns The same knex.
 * @example
 * ```ts
 * import { carryAuditContext } from '@countersign/audit-log/objection'
 * import Knex from 'knex'
 *
 * export const knex = carryAuditContext(Knex({ client: 'pg', connection: process.env['DATABASE_URL'] ?? '' }))
 * ```
 */
export function carryAuditContext<K extends Knex>(knex: K): K {
  const client = knex.client as PostgresClient
  if (!(carries in client))
    Object.setPrototypeOf(client, carryingPrototype(Object.getPrototypeOf(client) as PostgresClient))
  return knex
}

/** Knex makes the client of a transaction from its parent's `constructor.prototype`, so both must lead here. */
function carryingPrototype(parent: PostgresClient): PostgresClient {
  const Carrying = { prototype: undefined as unknown }
  const prototype = Object.create(parent, {
    constructor: { value: Carrying, configurable: true, writable: true },
    [carries]: { value: true },
    _query: {
      value: function (this: PostgresClient, connection: unknown, statement: Statement) {
        return withComment(statement, () => parent._query.call(this, connection, statement))
      },
    },
    _stream: {
      value: function (this: PostgresClient, connection: unknown, statement: Statement, ...rest: [unknown, unknown]) {
        return withComment(statement, () => parent._stream.call(this, connection, statement, ...rest))
      },
    },
  }) as PostgresClient
  Carrying.prototype = prototype
  return prototype
}

/** The driver takes the text at once; afterwards the statement is as it was, for events and error messages. */
function withComment<T>(statement: Statement, send: () => T): T {
  const comment = statementComment()
  const { sql, options } = statement
  if (comment === '' || sql === '') return send()
  statement.sql = comment + sql
  if (options?.name !== undefined) statement.options = { ...options, name: undefined }
  try {
    return send()
  } finally {
    statement.sql = sql
    if (options) statement.options = options
  }
}
