import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
import { expressAccess, expressGuards, routeInventory as expressRoutes } from '@countersign/rbac-core/express'
import { fastifyAccess, fastifyGuards, watchRoutes } from '@countersign/rbac-core/fastify'
import { honoAccess, honoGuards, routeInventory as honoRoutes } from '@countersign/rbac-core/hono'
import { nestAccess, nestGuards, routeInventory as nestRoutes } from '@countersign/rbac-core/nest'
import { UseGuards, type INestApplication, type MiddlewareConsumer } from '@nestjs/common'
import { ModulesContainer } from '@nestjs/core'
import express from 'express'
import Fastify, { type FastifyRequest } from 'fastify'
import { Hono, type Context } from 'hono'
import { describe, test } from 'vitest'

const permissions = definePermissions({ document: ['read'] })
const policy = definePolicy(permissions, { roles: { viewer: { permissions: ['document:read'] } } })
const authorizer = createAuthorizer({ permissions, store: memoryGrantStore({ policy }), maxStalenessMs: 1000 })

describe('the doors fit the real frameworks', () => {
  test('Express, with the request it has and with one of the application', () => {
    const app = express()
    const router = express.Router({ mergeParams: true })
    const { requirePermission } = expressGuards(permissions)
    app.use(expressAccess({ authorizer, subjectId: req => req.get('x-user') }))
    app.use(expressAccess({ authorizer, subjectId: (req: express.Request) => req.ip }))
    app.use('/admin', requirePermission('document:read'), router)
    router.get('/documents/:id', requirePermission('document:read'), (req, res) => {
      res.send(req.params.id.toUpperCase())
    })
    const scope = (req: express.Request<{ team: string }>): string => `team:${req.params.team}`
    router.get('/teams/:team', requirePermission('document:read', { scope }), () => {})
    expressRoutes(app)
    expressRoutes(router)
  })

  test('Fastify, with the request it has and with one of the application', async () => {
    const app = Fastify()
    const { requirePermission } = fastifyGuards(permissions)
    await app.register(fastifyAccess({ authorizer, subjectId: request => request.headers.authorization }))
    await app.register(fastifyAccess({ authorizer, subjectId: (request: FastifyRequest) => request.ip }))
    app.addHook('preHandler', requirePermission('document:read'))
    app.addHook('onRequest', requirePermission('document:read'))
    const scope = (request: FastifyRequest<{ Params: { team: string } }>): string => request.params.team
    app.get<{ Params: { team: string } }>(
      '/teams/:team',
      { preHandler: [requirePermission('document:read', { scope })] },
      request => request.params.team,
    )
    watchRoutes(app).routeInventory()
  })

  test('Hono, with the context it has and with one of the application', () => {
    interface Env {
      Variables: { userId: string }
    }
    const app = new Hono<Env>()
    const { requirePermission } = honoGuards(permissions)
    app.use(honoAccess({ authorizer, subjectId: c => c.req.header('x-user') }))
    app.use('/api/*', honoAccess({ authorizer, subjectId: (c: Context<Env>) => c.var.userId }))
    app.get('/documents/:id', requirePermission('document:read'), c => c.text(c.req.param('id').toUpperCase()))
    const scope = (c: Context<Env, '/teams/:team'>): string => `team:${c.req.param('team')}`
    app.get('/teams/:team', requirePermission('document:read', { scope }), c => c.text(c.req.param('team')))
    honoRoutes(app)
  })

  test('Nest, as middleware, decorators and guards', () => {
    const app = {} as INestApplication
    const consumer = {} as MiddlewareConsumer
    const { requirePermission, requireAccess } = nestGuards(permissions)
    app.use(nestAccess({ authorizer, subjectId: request => request.headers.authorization }))
    consumer.apply(nestAccess({ authorizer, subjectId: (req: express.Request) => req.ip })).forRoutes('documents')
    app.useGlobalGuards(requirePermission('document:read').guard)
    UseGuards(requireAccess({ not: 'document:read' }).guard)
    requirePermission('document:read')(class Documents {})
    requirePermission('document:read', { scope: request => `team:${request.params.team}` })
    nestRoutes(app.get(ModulesContainer))
  })
})

test.each([expressGuards, fastifyGuards, honoGuards, nestGuards])('names and scopes are checked: %o', guards => {
  const { requirePermission } = guards(permissions)
  // @ts-expect-error a misspelt permission
  requirePermission('document:raed')
  // @ts-expect-error a scope is a string
  requirePermission('document:read', { scope: () => 7 })
})
