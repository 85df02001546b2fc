import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { Hono, type Context } from 'hono'
import { stream } from 'hono/streaming'
import type { StreamingApi } from 'hono/utils/stream'
import { honoAudit } from '../../../src/hono/index.ts'
import { actorOf, closed, listen, routesOf, type Route, type Serve, type Session } from './served-app.ts'

interface Env {
  Bindings: HttpBindings
  Variables: { session: Session }
}

export const serveHono: Serve = async ({ skipPath, change, ...options }) => {
  const app = new Hono<Env>()
  const inner = new Hono<Env>()
  const { own, mounted } = routesOf(change)
  const add = (to: Hono<Env>, { method, path, handle }: Route): unknown =>
    to.on(method.toUpperCase(), path, async c => {
      const isJson = c.req.header('content-type') === 'application/json'
      const body: unknown = isJson ? await c.req.json() : undefined
      const call = { id: c.req.param('id'), session: c.var.session, body, gone: closed(c.env.outgoing) }
      const reply = await handle(call)
      for (const [name, value] of Object.entries(reply.headers ?? {})) c.header(name, value)
      if (reply.stream) {
        const source = reply.stream
        const copy = async (out: StreamingApi): Promise<void> => {
          out.onAbort(() => {
            source.destroy()
          })
          for await (const chunk of source) await out.write(chunk as Uint8Array)
        }
        // Without a handler of its own Hono prints that the client has gone.
        return stream(c, copy, () => Promise.resolve())
      }
      return reply.body ? c.json(reply.body, reply.status as 200) : c.body(null, reply.status as 204)
    })
  // Hono prints errors that no handler of the application takes.
  app.onError((_error, c) => c.text('Internal Server Error', 500))
  app.use(async (c, next) => {
    c.set('session', {})
    await next()
  })
  app.use(
    honoAudit({
      ...options,
      actor: (c: Context<Env>) => actorOf(c.var.session),
      sessionId: c => c.var.session.id,
      skip: c => c.req.path === skipPath,
    }),
  )
  for (const route of own) add(app, route)
  for (const route of mounted) add(inner, route)
  app.route('/api/v1', inner)
  return listen(getRequestListener(app.fetch))
}
