// The programs of the design for rbac-core on PostgreSQL and with Koa.
import { createAuthorizer, definePermissions } from '@countersign/rbac-core'
import { koaAccess, koaGuards } from '@countersign/rbac-core/koa'
import { createRoleAdmin, migrations, objectionGrantStore, syncCatalog } from '@countersign/rbac-core/objection'
import { postgresChanges } from '@countersign/rbac-core/postgres'
import Router from '@koa/router'
import createKnex from 'knex'
import Koa from 'koa'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createDatabase } from '../../support/postgres.ts'

const permissions = definePermissions({ document: ['read', 'publish'] })
const database = await createDatabase(inject('postgresUrl'))
const knex = createKnex({ client: 'pg', connection: database.url })
const admin = createRoleAdmin({ knex, permissions })
const authorizer = createAuthorizer({
  permissions,
  store: objectionGrantStore({ knex }),
  changes: postgresChanges({ connectionString: database.url }),
  maxStalenessMs: 30_000,
})
let user: { id: string }

beforeAll(async () => {
  await knex.migrate.latest(migrations({ users: true }))
  await syncCatalog(knex, permissions)
  const [row] = await knex('users')
    .insert({ username: 'ada', email: 'ada@example.org', password_hash: 'x' })
    .returning<{ id: string }[]>('id')
  user = row ?? { id: '' }
})
afterAll(async () => {
  await authorizer.close()
  await knex.destroy()
  await database.drop()
})

test('a role given in a transaction is seen with its token, and by the review functions', async () => {
  await admin.createRole({ name: 'reviewer', permissions: ['document:read'], inherits: [] })
  const token = await knex.transaction(transaction => admin.assign(user.id, 'reviewer', { transaction }))
  expect((await authorizer.accessFor(user.id, { atLeast: token })).can('document:read')).toBe(true)
  expect(await admin.usersWith('document:publish')).toEqual([])
  expect((await admin.usersWith('document:read')).map(({ userId }) => userId)).toEqual([user.id])
})

test('Koa routes are guarded: 401 without a subject, 403 when denied, 200 otherwise', async () => {
  const { requirePermission } = koaGuards(permissions)
  const router = new Router()
  router.get('/documents/:id', requirePermission('document:read'), ctx => {
    ctx.body = 'read'
  })
  router.get(
    '/teams/:team',
    requirePermission('document:publish', { scope: ctx => `team:${ctx.params.team}` }),
    ctx => {
      ctx.body = 'team'
    },
  )
  await admin.createRole({ name: 'team publisher', permissions: ['document:publish'], inherits: [] })
  const token = await admin.assign(user.id, 'team publisher', { scope: 'team:7' })
  await authorizer.accessFor(user.id, { atLeast: token })

  const app = new Koa()
  app.use(koaAccess({ authorizer, subjectId: (ctx: Koa.Context) => ctx.get('x-user') || undefined }))
  app.use(router.routes())
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const status = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).status
  const ada = { 'x-user': user.id }
  expect(await status('/documents/1', {})).toBe(401)
  expect(await status('/documents/1', { 'x-user': '00000000-0000-0000-0000-000000000000' })).toBe(403)
  expect(await status('/documents/1', ada)).toBe(200)
  expect(await status('/teams/7', ada)).toBe(200)
  expect(await status('/teams/8', ada)).toBe(403)
  server.close()
})
