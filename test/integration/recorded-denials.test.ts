import { createAuditLog, recordDenials, type AuditLog, type AuditRow } from '@countersign/audit-log'
import { koaAudit } from '@countersign/audit-log/koa'
import { migrations, postgresAuditStore } from '@countersign/audit-log/objection'
import {
  createAuthorizer,
  createGuards,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  runWithAccess,
} from '@countersign/rbac-core'
import { koaAccess, koaGuards } from '@countersign/rbac-core/koa'
import Router from '@koa/router'
import Knex from 'knex'
import Koa from 'koa'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'

const permissions = definePermissions({ document: ['read', 'publish'] })
const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })

let audit: AuditLog
let server: Server
let url: string
let stop: () => Promise<void>

beforeAll(async () => {
  const database = await createDatabase(inject('postgresUrl'))
  const knex = Knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 2 } })
  await knex.migrate.latest(migrations())
  const log = createAuditLog({ store: postgresAuditStore({ knex }) })
  audit = log

  const subject = (ctx: { get(header: string): string }): string | undefined => ctx.get('x-user') || undefined
  const app = new Koa()
  app.use(
    koaAudit({ audit: log, actor: ctx => ({ id: subject(ctx) ?? 'anonymous', type: 'user' }), allowedDecisions: true }),
  )
  app.use(koaAccess({ authorizer, subjectId: subject }))
  const { requirePermission } = koaGuards(permissions)
  const router = new Router()
  router.get('/documents/:id', requirePermission('document:read'), ctx => {
    ctx.body = 'a document'
  })
  router.post('/documents/:id/publish', requirePermission('document:publish'), ctx => {
    ctx.body = 'published'
  })
  app.use(router.routes())
  server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  stop = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    await log.close()
    await authorizer.close()
    await knex.destroy()
    await database.drop()
  }
})
afterAll(() => stop())

async function rowsOf(correlationId: string): Promise<AuditRow[]> {
  const rows: AuditRow[] = []
  for await (const row of audit.query({ correlationId, order: 'oldest' })) rows.push(row)
  return rows
}

async function send(method: string, path: string, user: string | undefined, correlationId: string): Promise<number> {
  const headers = { 'x-correlation-id': correlationId, ...(user && { 'x-user': user }) }
  return (await fetch(url + path, { method, headers })).status
}

test('a denial is stored with its request by the time the client is answered', async () => {
  expect(await send('POST', '/documents/7/publish', 'u1', 'denied-1')).toBe(403)
  const rows = await rowsOf('denied-1')
  expect(rows).toHaveLength(2)
  expect(rows.find(({ action }) => action === 'http.request')).toMatchObject({
    outcome: 'denied',
    userId: 'u1',
    requestPath: '/documents/:id/publish',
    responseStatus: 403,
  })
  expect(rows.find(({ action }) => action === 'authz_fail')).toMatchObject({
    outcome: 'denied',
    severity: 'critical',
    resourceType: 'permission',
    resourceId: 'document:publish',
    metadata: { reason: 'not-granted', subjectId: 'u1', times: 1 },
  })
})

test('a request without a subject is stored as denied', async () => {
  expect(await send('GET', '/documents/7', undefined, 'denied-2')).toBe(401)
  const rows = await rowsOf('denied-2')
  expect(rows.map(({ action, outcome }) => [action, outcome])).toContainEqual(['http.request', 'denied'])
})

test('a granted read leaves no row', async () => {
  expect(await send('GET', '/documents/7', 'u1', 'granted-1')).toBe(200)
  expect(await rowsOf('granted-1')).toEqual([])
})

test('a denial in a task is stored, too', async () => {
  const { requirePermission } = createGuards(permissions)
  const publish = requirePermission('document:publish').wrap(async (id: string) => id)
  const access = await authorizer.accessFor('u1')
  const task = audit.run({ correlationId: 'task-1' }, () =>
    recordDenials(audit, () => runWithAccess(access, () => publish('7'))),
  )
  await expect(task).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
  expect(await rowsOf('task-1')).toMatchObject([{ action: 'authz_fail', resourceId: 'document:publish' }])
})
