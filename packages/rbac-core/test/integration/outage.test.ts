import knexOf from 'knex'
import { expect, test } from 'vitest'
import { createDatabase, startPostgres } from '../../../../test/support/postgres.ts'
import { createAuthorizer } from '../../src/index.ts'
import { createRoleAdmin, migrations, objectionGrantStore, syncCatalog } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import { insertUser, permissions } from './database.ts'
import { eventually } from './eventually.ts'

test('when the database crashes, an access holds until its bound and then everything is denied', async () => {
  const maxStalenessMs = 1000
  const server = await startPostgres()
  const { url } = await createDatabase(server.url)
  const knex = knexOf({ client: 'pg', connection: url })
  await knex.migrate.latest(migrations())
  await syncCatalog(knex, permissions)
  const admin = createRoleAdmin({ knex, permissions })
  await admin.createRole({ name: 'viewer', permissions: ['document:read'] })
  const user = await insertUser(knex)
  await admin.assign(user, 'viewer')
  const authorizer = createAuthorizer({
    permissions,
    store: objectionGrantStore({ knex }),
    changes: postgresChanges({ connectionString: url }),
    maxStalenessMs,
  })
  await eventually(() => {
    expect(authorizer.state).toBe('fresh')
  })
  const held = await authorizer.accessFor(user, { freshness: 'now' })
  const loaded = performance.now()

  await server.kill()
  await eventually(() => {
    expect(authorizer.state).toBe('degraded')
  })
  expect((await authorizer.accessFor(user)).can('document:read')).toBe(true)
  let lastAllowed = loaded
  const refusal = await eventually(async () => {
    const outcome = await authorizer.accessFor(user).then(
      access => access.can('document:read'),
      (error: unknown) => error,
    )
    if (outcome === true) lastAllowed = performance.now()
    expect(outcome).not.toBe(true)
    return outcome
  })
  expect(refusal).toMatchObject({ code: 'GRANT_STORE_UNAVAILABLE' })
  expect(lastAllowed - loaded).toBeLessThan(maxStalenessMs)
  // One that was handed out before ends by a timer.
  await eventually(() => {
    expect(held.can('document:read')).toBe(false)
  })
  expect(performance.now() - loaded).toBeLessThan(2 * maxStalenessMs)
  await expect(authorizer.accessFor(user, { freshness: 'now' })).rejects.toMatchObject({
    code: 'GRANT_STORE_UNAVAILABLE',
  })

  await authorizer.close()
  await knex.destroy()
  await server.stop()
})
