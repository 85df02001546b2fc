import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { fastifyAudit } from '../../../src/fastify/index.ts'
import { actorOf, closed, routesOf, type Route, type Serve, type Session } from './served-app.ts'

export const serveFastify: Serve = async ({ skipPath, change, ...options }) => {
  const app = Fastify({ forceCloseConnections: true })
  const sessions = new WeakMap<FastifyRequest, Session>()
  const sessionOf = (request: FastifyRequest): Session => sessions.get(request) ?? {}
  const { own, mounted } = routesOf(change)
  const add = (to: FastifyInstance, { method, path, handle }: Route): unknown =>
    to[method]<{ Params: { id?: string } }>(path, async (request, reply: FastifyReply) => {
      const { id } = request.params
      const session = sessionOf(request)
      const answer = await handle({ id, session, body: request.body, gone: closed(reply.raw) })
      return reply
        .code(answer.status)
        .headers(answer.headers ?? {})
        .send(answer.stream ?? answer.body)
    })
  app.addHook('onRequest', (request, _reply, done) => {
    sessions.set(request, {})
    done()
  })
  await app.register(
    fastifyAudit({
      ...options,
      actor: (request: FastifyRequest) => actorOf(sessionOf(request)),
      sessionId: request => sessionOf(request).id,
      skip: request => request.url === skipPath,
    }),
  )
  for (const route of own) add(app, route)
  await app.register(
    async plugin => {
      for (const route of mounted) add(plugin, route)
    },
    { prefix: '/api/v1' },
  )
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  return { origin, close: () => app.close() }
}
