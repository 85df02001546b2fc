import Router from '@koa/router'
import Koa from 'koa'
import { test } from 'vitest'
import type { AuditLog } from '../../src/index.ts'
import { koaAudit } from '../../src/koa/index.ts'

declare const audit: AuditLog
declare const auditOfTransactions: AuditLog<{ commit(): Promise<void> }>

test('the middleware fits Koa, typed or not, and its router', () => {
  new Koa().use(koaAudit({ audit }))
  new Koa<{ session?: { userId: string } }>().use(koaAudit({ audit: auditOfTransactions }))
  new Router().use(koaAudit({ audit, reads: ctx => ctx.path.startsWith('/patients') }))
  // @ts-expect-error -- an actor has a type
  koaAudit({ audit, actor: () => ({ id: 'u1' }) })
  // @ts-expect-error -- without a log there is nothing to record to
  koaAudit({})
})
