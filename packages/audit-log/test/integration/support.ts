import Knex from 'knex'
import { inject } from 'vitest'
import { createDatabase } from '../../../../test/support/postgres.ts'
import { createAuditLog, type AuditFilter, type AuditLog, type AuditRow } from '../../src/index.ts'
import { migrations, postgresAuditStore } from '../../src/objection/index.ts'

export interface AuditedDatabase {
  readonly url: string
  readonly knex: Knex.Knex
  readonly audit: AuditLog<Knex.Knex.Transaction>
  /** The rows of a filter, oldest first. */
  rows(filter?: AuditFilter): Promise<AuditRow[]>
  /** What the rows of a filter say, for comparing: action, id and what changed. */
  changes(filter?: AuditFilter): Promise<unknown[]>
  close(): Promise<void>
}

/** An empty database with the audit log's tables, and a small pool, so that connections are shared. */
export async function auditedDatabase(pool: { max: number } = { max: 2 }): Promise<AuditedDatabase> {
  const database = await createDatabase(inject('postgresUrl'))
  const knex = Knex({ client: 'pg', connection: database.url, pool: { min: 0, ...pool } })
  await knex.migrate.latest(migrations())
  const audit = createAuditLog({ store: postgresAuditStore({ knex }), source: 'test', recordReads: false })
  async function rows(filter: AuditFilter = {}): Promise<AuditRow[]> {
    const found: AuditRow[] = []
    for await (const row of audit.query({ order: 'oldest', ...filter })) found.push(row)
    return found
  }
  return {
    url: database.url,
    knex,
    audit,
    rows,
    async changes(filter) {
      const found = await rows(filter)
      return found.map(({ action, resourceId, oldValues, newValues }) => [action, resourceId, oldValues, newValues])
    },
    async close() {
      await audit.close()
      await knex.destroy()
      await database.drop()
    },
  }
}
