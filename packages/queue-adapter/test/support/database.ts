import knexModule, { type Knex } from 'knex'
import { afterAll, beforeAll, beforeEach, inject } from 'vitest'
import { createDatabase } from '../../../../test/support/postgres.ts'
import { migrations } from '../../src/postgres/index.ts'

/** Gives the tests of a file a migrated database of their own, emptied before each of them. */
export function testDatabase(): { readonly knex: Knex; readonly url: string } {
  let knex: Knex | undefined
  let database: { url: string; drop: () => Promise<void> } | undefined
  beforeAll(async () => {
    database = await createDatabase(inject('postgresUrl'))
    knex = knexModule({ client: 'pg', connection: database.url, pool: { min: 0, max: 20 } })
    await knex.migrate.latest(migrations())
    await knex.schema.createTable('business', table => table.integer('n'))
  })
  beforeEach(async () => {
    await knex?.raw('truncate business, queue_outbox, queue_inbox')
  })
  afterAll(async () => {
    await knex?.destroy()
    await database?.drop()
  })
  return {
    get knex() {
      if (!knex) throw new Error('the database is opened before the tests')
      return knex
    },
    get url() {
      if (!database) throw new Error('the database is opened before the tests')
      return database.url
    },
  }
}
