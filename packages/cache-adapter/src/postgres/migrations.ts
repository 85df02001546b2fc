import type { KnexLike } from './knex-like.ts'

/** A step of the schema, as Knex wants it. */
export interface Migration {
  readonly name: string
  /** Makes the tables of this step. */
  up(knex: KnexLike): Promise<void>
  /** Takes them away. */
  down(knex: KnexLike): Promise<void>
}

/** What `knex.migrate.latest` takes. */
export interface MigrationConfig {
  migrationSource: {
    getMigrations(): Promise<Migration[]>
    getMigrationName(migration: Migration): string
    getMigration(migration: Migration): Promise<Pick<Migration, 'up' | 'down'>>
  }
  /** A bookkeeping table of its own: two packages in one table corrupt each other. */
  tableName: string
}

const steps: Migration[] = [
  {
    name: '0001_sessions',
    async up(knex) {
      await knex.raw(
        `create table sessions (
          id_hash text primary key,
          user_id text not null,
          data jsonb not null,
          created_at timestamptz not null,
          last_seen_at timestamptz not null,
          idle_expires_at timestamptz not null,
          absolute_expires_at timestamptz not null
        )`,
        [],
      )
      await knex.raw('create index sessions_user_id on sessions (user_id, last_seen_at desc)', [])
      await knex.raw('create index sessions_expires_at on sessions (least(idle_expires_at, absolute_expires_at))', [])
    },
    async down(knex) {
      await knex.raw('drop table sessions', [])
    },
  },
]

/**
 * Makes the table `sessions`, through Knex's migrations with a bookkeeping table of their own.
 *
 * @returns the configuration for `knex.migrate.latest` and `knex.migrate.rollback`
 *
 * @example
 * ```ts
 * import { migrations } from '@countersign/cache-adapter/postgres'
 * import knex from 'knex'
 *
 * const database = knex({ client: 'pg', connection: 'postgres://localhost/app' })
 * await database.migrate.latest(migrations())
 * ```
 */
export function migrations(): MigrationConfig {
  return {
    migrationSource: {
      getMigrations: async () => steps,
      getMigrationName: migration => migration.name,
      getMigration: async migration => migration,
    },
    tableName: 'countersign_cache_migrations',
  }
}
