import knexOf, { type Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuthorizer } from '../../src/index.ts'
import { createRoleAdmin, objectionGrantStore } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { startPgBouncer } from '../../../../test/support/pgbouncer.ts'

let database: TestDatabase
let bouncer: Awaited<ReturnType<typeof startPgBouncer>>
let pooled: Knex
let user: string

beforeAll(async () => {
  database = await migratedDatabase()
  bouncer = await startPgBouncer(database.url)
  pooled = knexOf({ client: 'pg', connection: bouncer.url })
  await createRoleAdmin({ knex: pooled, permissions }).createRole({ name: 'viewer', permissions: ['document:read'] })
  user = await insertUser(pooled)
})

afterAll(async () => {
  await pooled.destroy()
  await bouncer.stop()
  await database.close()
})

describe('behind PgBouncer in transaction mode', () => {
  const admin = (): ReturnType<typeof createRoleAdmin> => createRoleAdmin({ knex: pooled, permissions })

  test('the store and the administration work, many at once', async () => {
    const users = await Promise.all(Array.from({ length: 10 }, () => insertUser(pooled)))
    await Promise.all(users.map(id => admin().assign(id, 'viewer')))
    const store = objectionGrantStore({ knex: pooled })
    for (const id of users) expect(await store.loadSubject(id)).toMatchObject({ assignments: [{ role: 'viewer' }] })
  })

  test.each([
    ['at once, by a feed that bypasses it', () => database.url, 60_000],
    ['within the poll, by a feed that was led through it by mistake', () => bouncer.url, 100],
  ])('a change is heard of %s', async (_how, feedUrl, pollMs) => {
    const authorizer = createAuthorizer({
      permissions,
      store: objectionGrantStore({ knex: pooled }),
      changes: postgresChanges({ connectionString: feedUrl(), pollMs }),
      maxStalenessMs: 60_000,
    })
    await eventually(() => {
      expect(authorizer.state).toBe('fresh')
    })
    for (const allowed of [true, false, true]) {
      await (allowed ? admin().assign(user, 'viewer') : admin().unassign(user, 'viewer'))
      await eventually(async () => {
        expect((await authorizer.accessFor(user)).can('document:read')).toBe(allowed)
      })
    }
    await authorizer.close()
  })
})
