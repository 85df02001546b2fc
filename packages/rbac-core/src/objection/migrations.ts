import type { Knex } from 'knex'
import { dropRbacTables, createRbacTables } from './schema.ts'
import { createRbacTriggers, dropRbacTriggers } from './triggers.ts'
import { resolveUsers, type ResolvedUsersTable, type Users } from './users-table.ts'
import { checkUsersTable, createUsersTable, dropUsersTable } from './users-schema.ts'

interface NamedMigration extends Knex.Migration {
  readonly name: string
}

/** The argument of `knex.migrate.latest`, `rollback`, `list` and their kin. */
export interface MigrationsConfig {
  readonly migrationSource: Knex.MigrationSource<Knex.Migration>
  readonly tableName: string
}

/**
 * Describes the migrations of the RBAC tables, kept in a bookkeeping table of their own.
 *
 * Two packages in one `knex_migrations` table corrupt each other, hence the table of its own. The tables are made in the
 * schema that comes first on the search path.
 *
 * @param options.users - `true` creates `users`; an application with its own table names it and its columns, and
 *   `user_roles.user_id` takes the type of its key and refers to it. @defaultValue `true`
 * @returns the argument for `knex.migrate.latest` and `knex.migrate.rollback`.
 *
 * @example
 * ```ts
 * import { migrations } from '@countersign/rbac-core/objection'
 * import knexOf from 'knex'
 *
 * const knex = knexOf({ client: 'pg', connection: process.env.DATABASE_URL ?? '' })
 * await knex.migrate.latest(migrations({ users: true }))
 * ```
 */
export function migrations(options: { users?: Users | undefined } = {}): MigrationsConfig {
  const own = options.users === undefined || options.users === true
  const users = resolveUsers(options.users)
  const list = [...(own ? [ownUsers] : []), rbac(users)]
  return {
    migrationSource: {
      getMigrations: () => Promise.resolve(list),
      getMigrationName: migration => (migration as NamedMigration).name,
      getMigration: migration => Promise.resolve(migration),
    },
    tableName: 'countersign_rbac_migrations',
  }
}

const ownUsers: NamedMigration = { name: '001_users', up: createUsersTable, down: dropUsersTable }

function rbac(named: ResolvedUsersTable): NamedMigration {
  return {
    name: '002_rbac',
    up: async knex => {
      const { users, idType } = await checkUsersTable(knex, named)
      await createRbacTables(knex, users, idType)
      await createRbacTriggers(knex, users)
    },
    down: async knex => {
      await dropRbacTriggers(knex)
      await dropRbacTables(knex)
    },
  }
}
