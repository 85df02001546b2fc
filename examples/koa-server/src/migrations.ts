import { migrations as auditMigrations, auditTable } from '@countersign/audit-log/objection'
import { migrations as sessionMigrations } from '@countersign/cache-adapter/postgres'
import { migrations as queueMigrations } from '@countersign/queue-adapter/postgres'
import { migrations as rbacMigrations } from '@countersign/rbac-core/objection'
import type { Knex } from 'knex'

const own: Record<string, Knex.Migration> = {
  '0001_documents': {
    async up(knex) {
      await knex.schema.createTable('documents', table => {
        table.uuid('id').primary()
        table.text('title').notNullable()
        table.text('body').notNullable()
        table.text('status').notNullable().defaultTo('draft').checkIn(['draft', 'published'])
        table.uuid('author_id').notNullable().references('users.id')
        table.uuid('published_by').references('users.id')
        table.timestamp('created_at').notNullable().defaultTo(knex.fn.now())
        table.timestamp('updated_at').notNullable().defaultTo(knex.fn.now())
      })
      await auditTable(knex, 'documents', { resourceType: 'document', exclude: ['updated_at'] })
      await auditTable(knex, 'users', { resourceType: 'user', exclude: ['last_login', 'updated_at'] })
      await auditTable(knex, 'user_roles', {})
      await auditTable(knex, 'role_permissions', {})
    },
    async down(knex) {
      await knex.schema.dropTable('documents')
    },
  },
}

const source: Knex.MigrationSource<string> = {
  getMigrations: async () => Object.keys(own),
  getMigrationName: name => name,
  getMigration: async name => own[name] as Knex.Migration,
}

const steps: readonly (readonly [name: string, config: Knex.MigratorConfig])[] = [
  ['rbac-core', rbacMigrations({ users: true })],
  ['audit-log', auditMigrations()],
  ['cache-adapter', sessionMigrations()],
  ['queue-adapter', queueMigrations()],
  ['the register', { migrationSource: source, tableName: 'register_migrations' }],
]

/**
 * Brings the database up to date. Processes that start together take turns, by an advisory lock that ends with its
 * transaction; knex's own lock row outlives a killed process, so whoever holds ours clears it.
 */
export async function migrate(knex: Knex, onProgress: (step: string) => void): Promise<void> {
  await knex.transaction(async turn => {
    await turn.raw(`select pg_advisory_xact_lock(hashtext('koa-server migrations'))`)
    for (const [name, config] of steps) {
      onProgress(`migrating ${name}`)
      await knex.migrate.forceFreeMigrationsLock(config)
      await knex.migrate.latest(config)
    }
  })
}
