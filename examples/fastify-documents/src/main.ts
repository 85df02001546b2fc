import { currentAccess } from '@countersign/rbac-core'
import { fastifyAccess, fastifyGuards, watchRoutes } from '@countersign/rbac-core/fastify'
import Fastify from 'fastify'
import { authorizer, permissions } from './policy.ts'

const { requirePermission } = fastifyGuards(permissions)
const createInTeam = requirePermission('document:create', { scope: request => `team:${request.params.team}` })

interface Params {
  Params: { id: string; team: string }
}

const app = Fastify()
const { routeInventory } = watchRoutes(app)
await app.register(fastifyAccess({ authorizer, subjectId: request => request.headers['x-user']?.toString() }))
app.get('/health', () => ({ up: true }))
app.get<Params>('/documents/:id', { preHandler: requirePermission('document:read') }, request => ({
  id: request.params.id,
  reader: currentAccess()?.subjectId,
}))
app.post<Params>('/teams/:team/documents', { preHandler: createInTeam }, (request, reply) =>
  reply.code(201).send({ team: request.params.team, author: currentAccess()?.subjectId }),
)

const address = await app.listen({ port: Number(process.env.PORT ?? 3000) })
for (const { method, path, requires } of routeInventory()) {
  process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
}
process.stdout.write(`http://localhost:${new URL(address).port}\n`)
