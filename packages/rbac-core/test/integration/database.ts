import knexOf, { type Knex } from 'knex'
import { inject } from 'vitest'
import { createDatabase } from '../../../../test/support/postgres.ts'
import { catalog } from './catalog.ts'
import { migrations, syncCatalog } from '../../src/objection/index.ts'

export { catalog as permissions }

export interface TestDatabase {
  readonly url: string
  readonly knex: Knex
  close(): Promise<void>
}

/** An empty database of this test file's own. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const { url, drop } = await createDatabase(inject('postgresUrl'))
  const knex = knexOf({ client: 'pg', connection: url, pool: { min: 0, max: 8 } })
  return {
    url,
    knex,
    close: async () => {
      await knex.destroy()
      await drop()
    },
  }
}

/** A database with the package's tables, its own users and the catalog's rows. */
export async function migratedDatabase(): Promise<TestDatabase> {
  const database = await emptyDatabase()
  await database.knex.migrate.latest(migrations({ users: true }))
  await syncCatalog(database.knex, catalog)
  return database
}

let count = 0

export async function insertUser(knex: Knex, columns: Record<string, unknown> = {}): Promise<string> {
  count += 1
  const [row] = await knex('users')
    .insert({ username: `user${count}`, ...columns })
    .returning<{ id: string }[]>('id')
  return (row as { id: string }).id
}
