import Router from '@koa/router'
import Koa from 'koa'
import { json } from 'node:stream/consumers'
import { koaAudit } from '../../../src/koa/index.ts'
import { actorOf, closed, listen, routesOf, type Route, type Serve, type Session } from './served-app.ts'

interface State {
  session: Session
}

export const serveKoa: Serve = async ({ skipPath, change, ...options }) => {
  const app = new Koa<State>()
  const router = new Router<State>()
  const mounted = new Router<State>()
  const { own, mounted: inner } = routesOf(change)
  const add = (to: typeof router, { method, path, handle }: Route): unknown =>
    to[method](path, async ctx => {
      const { session } = ctx.state
      const body = ctx.is('json') ? await json(ctx.req) : undefined
      Object.assign(ctx.request, { body })
      const reply = await handle({ id: ctx.params.id, session, body, gone: closed(ctx.res) })
      ctx.set(reply.headers ?? {})
      ctx.body = reply.stream ?? reply.body
      ctx.status = reply.status
    })
  for (const route of own) add(router, route)
  for (const route of inner) add(mounted, route)
  router.use('/api/v1', mounted.routes())
  app.on('error', () => undefined)
  app.use(async (ctx, next) => {
    ctx.state.session = {}
    await next()
  })
  app.use(
    koaAudit({
      ...options,
      actor: ctx => actorOf((ctx.state as State).session),
      sessionId: ctx => (ctx.state as State).session.id,
      skip: ctx => ctx.path === skipPath,
    }),
  )
  app.use(router.routes())
  return listen(app.callback())
}
