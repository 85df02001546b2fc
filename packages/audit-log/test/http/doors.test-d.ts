import express, { type Request } from 'express'
import Fastify, { type FastifyRequest } from 'fastify'
import { Hono, type Context } from 'hono'
import { test } from 'vitest'
import { expressAudit } from '../../src/express/index.ts'
import { fastifyAudit } from '../../src/fastify/index.ts'
import { honoAudit } from '../../src/hono/index.ts'
import type { AuditLog } from '../../src/index.ts'

declare const audit: AuditLog
declare const auditOfTransactions: AuditLog<{ commit(): Promise<void> }>

interface WithSession extends Request {
  session?: { userId: string }
}

test('the middleware fits Express, with the request it has and with one of the application', () => {
  const app = express()
  app.use(expressAudit({ audit }))
  app.use(expressAudit({ audit: auditOfTransactions, reads: req => req.path.startsWith('/patients') }))
  app.use(expressAudit({ audit, actor: (req: WithSession) => req.session && { id: req.session.userId, type: 'user' } }))
  express.Router().use(expressAudit({ audit, skip: (req: Request) => req.secure }))
})

test('the plugin fits Fastify, with the request it has and with one of the application', async () => {
  const app = Fastify()
  await app.register(fastifyAudit({ audit, reads: request => request.url.startsWith('/patients') }))
  await app.register(fastifyAudit({ audit: auditOfTransactions, skip: (request: FastifyRequest) => request.is404 }))
})

test('the middleware fits Hono, with the context it has and with one of the application', () => {
  interface Env {
    Variables: { userId?: string }
  }
  new Hono().use(honoAudit({ audit, ip: c => c.req.header('x-real-ip') }))
  new Hono<Env>().use(
    honoAudit({ audit, actor: (c: Context<Env>) => ({ id: c.var.userId ?? 'nobody', type: 'user' }) }),
  )
})

test.each([expressAudit, fastifyAudit, honoAudit])('options are checked: %o', door => {
  // @ts-expect-error -- an actor has a type
  door({ audit, actor: () => ({ id: 'u1' }) })
  // @ts-expect-error -- without a log there is nothing to record to
  door({})
})
