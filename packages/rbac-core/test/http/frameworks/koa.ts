import { currentAccess } from '@countersign/rbac-core'
import { koaAccess, koaGuards, routeInventory, routeProblems } from '@countersign/rbac-core/koa'
import Router from '@koa/router'
import Koa from 'koa'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { listen } from './listen.ts'
import { brokenScope, laterBrokenScope, permissions, subjectOf, type Serve } from './served-app.ts'

export const serveKoa: Serve = async ({ authorizer, reach, report }) => {
  const { requireAccess, requirePermission, requireRole } = koaGuards(permissions)
  const router = new Router()
  const answer = (ctx: Koa.Context, facts: object = {}): void => {
    reach(ctx.path)
    ctx.body = { subject: currentAccess()?.subjectId, ...facts }
  }
  router.get('/health', ctx => answer(ctx))
  router.get('/documents/:id', requirePermission('document:read'), ctx => answer(ctx))
  router.post('/documents', requirePermission('document:publish'), async ctx => {
    answer(ctx, JSON.parse(String(await buffer(ctx.req))) as object)
  })
  router.get(
    '/teams/:team',
    requirePermission('document:publish', { scope: ctx => `team:${ctx.params.team}` }),
    async ctx => {
      await setTimeout(5)
      answer(ctx)
    },
  )
  router.post('/review', requireAccess({ allOf: ['document:read', { not: { role: 'publisher' } }] }), ctx =>
    answer(ctx),
  )
  router.get('/role', requireRole('viewer'), ctx => answer(ctx))
  router.get('/broken', requirePermission('document:read', { scope: brokenScope }), ctx => answer(ctx))
  router.get('/broken/later', requirePermission('document:read', { scope: laterBrokenScope }), ctx => answer(ctx))

  const app = new Koa()
  app.on('error', error => report(inspect(error, { depth: 5 })))
  app.use(koaAccess({ authorizer, subjectId: (ctx: Koa.Context) => subjectOf(ctx.headers['x-user']) }))
  app.use(router.routes())
  app.use(router.allowedMethods())
  return {
    ...(await listen(app.callback())),
    routeInventory: () => routeInventory(router),
    routeProblems: options => routeProblems(router, options),
  }
}
