import knexOf, { type Knex } from 'knex'
import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { createDatabase } from '../../../../test/support/postgres.ts'
import { createAuthorizer, type Authorizer } from '../../src/index.ts'
import { createRoleAdmin, migrations, objectionGrantStore, syncCatalog } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import { insertUser, permissions } from './database.ts'
import { eventually } from './eventually.ts'

type Permission = (typeof permissions.names)[number]

/** Longer than the test, so that no bound ends what the restore must end. */
const maxStalenessMs = 600_000

function startedProcess(url: string): { knex: Knex; authorizer: Authorizer<Permission>; stop: () => Promise<void> } {
  const knex = knexOf({ client: 'pg', connection: url, pool: { min: 0, max: 4 } })
  const store = objectionGrantStore({ knex })
  const changes = postgresChanges({ connectionString: url })
  const authorizer = createAuthorizer({ permissions, store, changes, maxStalenessMs })
  return {
    knex,
    authorizer,
    stop: async () => {
      await authorizer.close()
      await knex.destroy()
    },
  }
}

test('after a restore a running process refuses until it is restarted, and then answers from what was restored', async () => {
  const { url, drop } = await createDatabase(inject('postgresUrl'))
  const name = new URL(url).pathname.slice(1)
  const server = new pg.Client({ connectionString: inject('postgresUrl') })
  await server.connect()

  const before = knexOf({ client: 'pg', connection: url })
  await before.migrate.latest(migrations())
  await syncCatalog(before, permissions)
  const early = createRoleAdmin({ knex: before, permissions })
  await early.createRole({ name: 'viewer', permissions: ['document:read'] })
  const user = await insertUser(before)
  await early.assign(user, 'viewer')
  await before.destroy()
  await server.query(`create database ${name}_backup template ${name}`)

  const running = startedProcess(url)
  const admin = createRoleAdmin({ knex: running.knex, permissions })
  const atBackup = await objectionGrantStore({ knex: running.knex }).loadVersion()
  await admin.grant('viewer', ['document:update'])
  const heard = await admin.grant('viewer', ['document:publish'])
  expect(heard).toBe(atBackup + 2)
  const may = (process: typeof running): Promise<unknown> =>
    process.authorizer.accessFor(user).then(
      access => access.can('document:update'),
      (error: unknown) => (error as { code: string }).code,
    )
  await eventually(async () => {
    expect(running.authorizer.state).toBe('fresh')
    expect(await may(running)).toBe(true)
  })

  await server.query(`drop database ${name} with (force)`)
  await server.query(`create database ${name} template ${name}_backup`)
  await eventually(async () => {
    expect(await may(running)).toBe('GRANT_STORE_UNAVAILABLE')
  })

  const restarted = startedProcess(url)
  expect(await may(restarted)).toBe(false)
  expect((await restarted.authorizer.accessFor(user)).can('document:read')).toBe(true)

  // The version comes to a number that the running process has heard of, with another history behind it.
  const later = createRoleAdmin({ knex: restarted.knex, permissions })
  await later.createRole({ name: 'first', permissions: [] })
  expect(await later.createRole({ name: 'second', permissions: [] })).toBe(heard)
  await eventually(async () => {
    expect(running.authorizer.state).toBe('fresh')
    expect(await may(running)).toBe('GRANT_STORE_UNAVAILABLE')
  })
  const token = await later.createRole({ name: 'third', permissions: [] })
  await eventually(async () => {
    expect(await may(running)).toBe(false)
  })
  expect((await restarted.authorizer.accessFor(user, { atLeast: token })).can('document:update')).toBe(false)

  await running.stop()
  await restarted.stop()
  await server.query(`drop database ${name}_backup with (force)`)
  await server.end()
  await drop()
})
