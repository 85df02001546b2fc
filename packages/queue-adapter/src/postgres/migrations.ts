import type { Knex } from 'knex'

const list: readonly { readonly name: string; readonly up: string; readonly down: string }[] = [
  {
    name: '001_queue_outbox',
    // Headers are json and not jsonb: jsonb refuses texts that json and AMQP carry. The table is emptied as fast as it is
    // filled, so it is vacuumed by count and not by share.
    up: `
      create table queue_outbox (
        position bigint generated always as identity primary key,
        message_id text not null,
        kind text not null check (kind in ('task', 'event')),
        name text not null,
        priority text not null check (priority in ('low', 'normal', 'high')),
        headers json not null,
        body bytea not null,
        available_at timestamptz not null default now(),
        created_at timestamptz not null default now(),
        attempts integer not null default 0,
        last_error text
      ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)`,
    down: 'drop table queue_outbox',
  },
  {
    name: '002_queue_inbox',
    up: `
      create table queue_inbox (
        consumer text not null,
        message_id text not null,
        handled_at timestamptz not null default now(),
        primary key (consumer, message_id)
      );
      create index queue_inbox_handled_at on queue_inbox using brin (handled_at)`,
    down: 'drop table queue_inbox',
  },
  {
    name: '003_queue_schedule',
    up: 'create table queue_schedule (name text primary key, last_at timestamptz not null)',
    down: 'drop table queue_schedule',
  },
]

/**
 * Gives the tables of this package as knex migrations, with a bookkeeping table of their own.
 *
 * @returns the configuration for `knex.migrate.latest` and `knex.migrate.rollback`
 * @example
 * ```ts
 * import { migrations } from '@countersign/queue-adapter/postgres'
 * import knexModule from 'knex'
 *
 * const knex = knexModule({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * await knex.migrate.latest(migrations())
 * ```
 */
export function migrations(): { migrationSource: Knex.MigrationSource<string>; tableName: string } {
  return {
    tableName: 'countersign_queue_migrations',
    migrationSource: {
      getMigrations: async () => list.map(({ name }) => name),
      getMigrationName: name => name,
      getMigration: async name => {
        const found = list.find(migration => migration.name === name)
        if (!found) throw new Error(`there is no migration ${name}`)
        return {
          up: async knex => {
            await knex.raw(found.up)
          },
          down: async knex => {
            await knex.raw(found.down)
          },
        }
      },
    },
  }
}
