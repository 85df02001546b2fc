import { currentAccess } from '@countersign/rbac-core'
import { fastifyAccess, fastifyGuards, watchRoutes } from '@countersign/rbac-core/fastify'
import Fastify, { type FastifyRequest } from 'fastify'
import { setTimeout } from 'node:timers/promises'
import { brokenScope, laterBrokenScope, permissions, subjectOf, type Serve } from './served-app.ts'

export const serveFastify: Serve = async ({ authorizer, reach, report }) => {
  const { requireAccess, requirePermission, requireRole } = fastifyGuards(permissions)
  const app = Fastify({ logger: { level: 'error', stream: { write: report } }, forceCloseConnections: true })
  const { routeInventory, routeProblems } = watchRoutes(app)
  const answer = async (request: FastifyRequest): Promise<object> => {
    reach(request.url)
    return { subject: currentAccess()?.subjectId, ...(request.body as object | undefined) }
  }
  await app.register(fastifyAccess({ authorizer, subjectId: request => subjectOf(request.headers['x-user']) }))
  app.get('/health', answer)
  // A plugin has a scope of its own; the access of the application reaches into it.
  await app.register(async plugin => {
    plugin.get('/documents/:id', { preHandler: requirePermission('document:read') }, answer)
    plugin.post('/documents', { preHandler: requirePermission('document:publish') }, answer)
  })
  const inTeam = requirePermission('document:publish', { scope: request => `team:${request.params.team}` })
  app.get('/teams/:team', { preHandler: [inTeam] }, async request => {
    await setTimeout(5)
    return answer(request)
  })
  const review = requireAccess({ allOf: ['document:read', { not: { role: 'publisher' } }] })
  app.post('/review', { preHandler: review }, answer)
  app.get('/role', { preHandler: requireRole('viewer') }, answer)
  app.get('/broken', { preHandler: requirePermission('document:read', { scope: brokenScope }) }, answer)
  app.get('/broken/later', { preHandler: requirePermission('document:read', { scope: laterBrokenScope }) }, answer)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, close: () => app.close(), routeInventory, routeProblems }
}
