export type { KnexLike, SqlValue } from './knex-like.ts'
export { migrations, type Migration, type MigrationConfig } from './migrations.ts'
export { postgresSessionStore, type PostgresSessionStoreOptions } from './session-store.ts'
