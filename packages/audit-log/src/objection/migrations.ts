import type { Knex } from 'knex'
import { createAppendOnly, createAuditLogs, createPartitioning, dropAuditLogs } from './schema/audit-logs.ts'
import { createChangeTrigger, dropChangeTrigger } from './schema/change-trigger.ts'
import { dropInstallFunctions, installFunctions } from './schema/install.ts'
import { createShownValues, dropShownValues } from './schema/shown-values.ts'
import { createSinkPositions, dropSinkPositions } from './schema/sink-positions.ts'

interface NamedMigration extends Knex.Migration {
  readonly name: string
}

const all: readonly NamedMigration[] = [
  {
    name: '0001_audit_logs',
    async up(knex) {
      await knex.raw(createAuditLogs)
      await knex.raw(createAppendOnly)
      await knex.raw(createPartitioning)
    },
    async down(knex) {
      await knex.raw(dropAuditLogs)
    },
  },
  {
    name: '0002_change_trigger',
    async up(knex) {
      const schema = await currentSchema(knex)
      for (const create of [createShownValues, createChangeTrigger, installFunctions]) await knex.raw(create(schema))
    },
    async down(knex) {
      const schema = await currentSchema(knex)
      for (const drop of [dropInstallFunctions, dropChangeTrigger, dropShownValues]) await knex.raw(drop(schema))
    },
  },
  {
    name: '0003_audit_sinks',
    async up(knex) {
      await knex.raw(createSinkPositions)
    },
    async down(knex) {
      await knex.raw(dropSinkPositions)
    },
  },
]

/**
 * Returns what `knex.migrate.latest` needs to make the audit log's tables, in a bookkeeping table of their own.
 *
 * @returns The migrations, and the name of the table that remembers which of them ran.
 * @example
 * ```ts
 * import { migrations } from '@countersign/audit-log/objection'
 * import type { Knex } from 'knex'
 *
 * export async function migrate(knex: Knex): Promise<void> {
 *   await knex.migrate.latest(migrations())
 * }
 * ```
 */
export function migrations(): { migrationSource: Knex.MigrationSource<unknown>; tableName: string } {
  const migrationSource: Knex.MigrationSource<NamedMigration> = {
    getMigrations: async () => [...all],
    getMigrationName: migration => migration.name,
    getMigration: async migration => migration,
  }
  return { migrationSource, tableName: 'countersign_audit_migrations' }
}

async function currentSchema(knex: Knex): Promise<string> {
  const { rows } = await knex.raw<{ rows: { schema: string }[] }>('select quote_ident(current_schema()) as schema')
  const [row] = rows
  if (!row) throw new Error('the connection has no current schema')
  return row.schema
}
