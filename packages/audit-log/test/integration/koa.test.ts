import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { Model } from 'objection'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { hashSessionId } from '../../src/index.ts'
import { koaAudit, type KoaAuditOptions } from '../../src/koa/index.ts'
import { audited, auditTable } from '../../src/objection/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

class Document extends audited(Model) {
  static override tableName = 'documents'
  declare id: number
  declare title: string
}

let db: AuditedDatabase
beforeAll(async () => {
  db = await auditedDatabase()
  await db.knex.schema.createTable('documents', table => {
    table.increments('id')
    table.text('title')
  })
  await auditTable(db.knex, 'documents')
})
afterAll(() => db.close())

interface State {
  session?: { id: string; userId: string }
}

async function serve(use: (app: Koa) => void, options: Partial<KoaAuditOptions> = {}): Promise<string> {
  const app = new Koa()
  app.silent = true
  app.use(koaAudit({ audit: db.audit, ...options }))
  use(app)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/documents`
}

test('the row of a change, the row of its request and its activity bear the same actor, session and correlation id', async () => {
  const publish = db.audit
    .activity('document.create')
    .wrap(async (title: string) => Document.query(db.knex).insert({ title }))
  const url = await serve(
    app => {
      app.use(async (ctx, next) => {
        ;(ctx.state as State).session = { id: 'secret-session-id', userId: 'u1' }
        await next()
      })
      app.use(async ctx => {
        ctx.body = await publish('Minutes')
      })
    },
    {
      actor: ctx => {
        const { session } = ctx.state as State
        return session && { id: session.userId, type: 'user' }
      },
      sessionId: ctx => (ctx.state as State).session?.id,
    },
  )
  const response = await fetch(url, { method: 'POST', headers: { 'x-correlation-id': 'c-1', 'user-agent': 'test' } })
  expect(response.status).toBe(200)
  const rows = await db.rows({ correlationId: 'c-1' })
  expect(rows.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['documents.create', 'document.create', 'http.request']),
  )
  expect(rows).toHaveLength(3)
  for (const row of rows) {
    expect(row).toMatchObject({
      userId: 'u1',
      actorType: 'user',
      sessionId: hashSessionId('secret-session-id'),
      ipAddress: '127.0.0.1',
    })
  }
  const activity = rows.find(({ action }) => action === 'document.create')
  expect(rows.find(({ action }) => action === 'documents.create')?.causationId).toBe(activity?.id)
  expect(JSON.stringify(rows)).not.toContain('secret-session-id')
})

test('a recorded body is sanitized', async () => {
  const url = await serve(
    app => {
      app.use(ctx => {
        Object.assign(ctx.request, { body: { title: 'Minutes', password: 'enchantress' } })
        ctx.status = 204
      })
    },
    { requestBody: true },
  )
  await fetch(url, { method: 'POST', headers: { 'x-correlation-id': 'c-2' } })
  const [row] = await db.rows({ correlationId: 'c-2' })
  expect(row?.requestData).toEqual({ title: 'Minutes', password: '[masked]' })
})
