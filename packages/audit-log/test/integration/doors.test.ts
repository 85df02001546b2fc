import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { hashSessionId } from '../../src/index.ts'
import { auditTable } from '../../src/objection/index.ts'
import { serveExpress } from '../http/frameworks/express.ts'
import { serveFastify } from '../http/frameworks/fastify.ts'
import { serveHono } from '../http/frameworks/hono.ts'
import { serveKoa } from '../http/frameworks/koa.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

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

describe.each([
  ['Koa', serveKoa],
  ['Express', serveExpress],
  ['Fastify', serveFastify],
  ['Hono', serveHono],
])('with %s and PostgreSQL', (framework, serve) => {
  test('the rows of a change and of its request are there with the answer and bear the same actor and correlation', async () => {
    const change = (): Promise<unknown> => db.knex.transaction(trx => trx('documents').insert({ title: framework }))
    const { origin, close } = await serve({ audit: db.audit, change })
    onTestFinished(close)
    const ids = Array.from({ length: 20 }, (_, index) => `${framework}-${index}`)
    await Promise.all(
      ids.map(async id => {
        const headers = { 'content-type': 'application/json', 'x-correlation-id': id }
        const response = await fetch(`${origin}/changes`, { method: 'POST', headers, body: JSON.stringify({ id }) })
        expect(response.status).toBe(201)
        const rows = await db.rows({ correlationId: id })
        expect(rows.map(({ action }) => action).sort()).toEqual(['documents.create', 'http.request'])
        for (const row of rows) {
          expect(row).toMatchObject({
            userId: 'u1',
            actorType: 'user',
            sessionId: hashSessionId('s1'),
            ipAddress: '127.0.0.1',
          })
        }
        expect(rows.find(({ action }) => action === 'http.request')).toMatchObject({
          requestMethod: 'POST',
          requestPath: '/changes',
          responseStatus: 201,
        })
      }),
    )
  })
})
