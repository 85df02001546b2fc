export { postgresChanges, type PostgresChangesOptions } from './changes.ts'
