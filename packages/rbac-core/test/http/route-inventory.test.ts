import 'reflect-metadata'
import * as expressDoor from '@countersign/rbac-core/express'
import * as fastifyDoor from '@countersign/rbac-core/fastify'
import * as honoDoor from '@countersign/rbac-core/hono'
import * as nestDoor from '@countersign/rbac-core/nest'
import { Controller, Get, Head, Module, Post, UseGuards, type CanActivate } from '@nestjs/common'
import { ModulesContainer, NestFactory } from '@nestjs/core'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import { permissions } from './frameworks/served-app.ts'

const handler = (): undefined => undefined
const lines = (routes: { method: string; path: string; requires: string | undefined }[]): string[] =>
  routes.map(({ method, path, requires }) => `${method} ${path}: ${requires ?? 'anybody'}`)

describe('Express', () => {
  const { requirePermission, requireRole } = expressDoor.expressGuards(permissions)

  test('a guard counts that is used above a route, with its path, and in the routers outside', () => {
    const app = express()
    app.get('/before', handler)
    app.use('/admin', requirePermission('user:manage'))
    const admin = express.Router()
    admin.get('/', handler)
    admin.get('/users/:id', requirePermission('document:read'), handler)
    admin.use(requireRole('viewer'))
    admin.post('/users', handler)
    app.use('/admin', admin)
    app.get('/administration', handler)
    app.use(requireRole('publisher'))
    app.get('/after', handler)
    expect(lines(expressDoor.routeInventory(app))).toEqual([
      'GET /before: anybody',
      'GET /admin: user:manage',
      'GET /admin/users/:id: user:manage and document:read',
      'POST /admin/users: user:manage and role viewer',
      'GET /administration: anybody',
      'GET /after: role publisher',
    ])
  })

  test('several methods, paths and patterns of one route are listed one by one', () => {
    const router = express.Router()
    router.route('/documents').get(requirePermission('document:read'), handler).post(handler)
    router.all('/any', requirePermission('document:read'), handler)
    router.route('/teams').all(requirePermission('document:read')).get(handler)
    router.get(['/one', '/two'], handler)
    router.get(/^\/files\/(.+)/, handler)
    router.head('/documents', handler)
    router.head('/only', handler)
    expect(lines(expressDoor.routeInventory(router))).toEqual([
      'GET /documents: document:read',
      'POST /documents: anybody',
      'ALL /any: document:read',
      'GET /teams: document:read',
      'GET /one: anybody',
      'GET /two: anybody',
      'GET /^\\/files\\/(.+)/: anybody',
      'HEAD /only: anybody',
    ])
  })

  test('a router that does not keep its paths is refused, not taken for an empty one', () => {
    expect(() => expressDoor.routeInventory({ stack: [{ handle: handler }] })).toThrow(
      expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'router' }),
    )
  })
})

describe('Hono', () => {
  const { requirePermission, requireRole } = honoDoor.honoGuards(permissions)
  const answer = (c: { text(body: string): Response }): Response => c.text('ok')

  test('a guard counts that is used above a route, with its path, and around an application taken in', () => {
    const app = new Hono()
    app.get('/before', answer)
    app.use('/admin/*', requirePermission('user:manage'))
    const admin = new Hono()
    admin.onError((_error, c) => c.text('failed', 500))
    admin.get('/', answer)
    admin.get('/users/:id', requirePermission('document:read'), answer)
    app.route('/admin', admin)
    app.get('/administration', answer)
    app.use(requireRole('publisher'))
    app.get('/after', async (_c, next) => next())
    app.all('/any', answer)
    expect(lines(honoDoor.routeInventory(app))).toEqual([
      'GET /before: anybody',
      'GET /admin: user:manage',
      'GET /admin/users/:id: user:manage and document:read',
      'GET /administration: anybody',
      'GET /after: role publisher',
      'ALL /any: role publisher',
    ])
  })

  test('a handler that stands before a guard of the same path is listed as open', () => {
    const app = new Hono()
    app.get('/twice', answer)
    app.get('/twice', requirePermission('document:read'), answer)
    expect(lines(honoDoor.routeInventory(app))).toEqual(['GET /twice: anybody', 'GET /twice: document:read'])
  })
})

describe('Fastify', () => {
  const { requirePermission } = fastifyDoor.fastifyGuards(permissions)

  test('a guard counts in any hook of the route; one of addHook is not told and the route listed as open', async () => {
    const app = Fastify()
    const { routeInventory } = fastifyDoor.watchRoutes(app)
    app.get('/request', { onRequest: requirePermission('document:read') }, handler)
    app.get('/validation', { preValidation: [requirePermission('document:read')] }, handler)
    app.route({ method: ['PUT', 'PATCH'], url: '/both', preHandler: requirePermission('document:publish'), handler })
    await app.register(
      async plugin => {
        plugin.addHook('preHandler', requirePermission('user:manage'))
        plugin.get('/users', handler)
      },
      { prefix: '/admin' },
    )
    await app.ready()
    expect(lines(routeInventory())).toEqual([
      'GET /request: document:read',
      'GET /validation: document:read',
      'PUT /both: document:publish',
      'PATCH /both: document:publish',
      'GET /admin/users: anybody',
    ])
    await app.close()
  })

  test('a guard of a route that the access does not reach denies', async () => {
    const app = Fastify()
    app.get('/', { preHandler: requirePermission('document:read') }, () => 'secret')
    expect((await app.inject('/')).statusCode).toBe(401)
    await app.close()
  })
})

describe('Nest', () => {
  const { requirePermission, requireRole } = nestDoor.nestGuards(permissions)
  const decorate = (controller: { prototype: object }, name: string, ...decorators: MethodDecorator[]): void => {
    const descriptor = Object.getOwnPropertyDescriptor(controller.prototype, name) ?? {}
    for (const decorator of decorators) decorator(controller.prototype, name, descriptor)
  }

  test('guards of the controller and of the handler count, beside those of others', async () => {
    class Other implements CanActivate {
      canActivate(): boolean {
        return true
      }
    }
    class Documents {
      read(): void {}
      write(): void {}
      exists(): void {}
      helper(): void {}
    }
    decorate(Documents, 'read', Get(['one', '/two/']), UseGuards(Other, requireRole('publisher').guard))
    decorate(Documents, 'write', Post(), requirePermission('document:publish'))
    decorate(Documents, 'exists', Head('three'))
    requirePermission('document:read')(Documents)
    Controller('documents/:id')(Documents)
    class App {}
    Module({ controllers: [Documents] })(App)
    const app = await NestFactory.create(App, { logger: false })
    expect(lines(nestDoor.routeInventory(app.get(ModulesContainer)))).toEqual([
      'GET /documents/:id/one: document:read and role publisher',
      'GET /documents/:id/two: document:read and role publisher',
      'POST /documents/:id: document:read and document:publish',
      'HEAD /documents/:id/three: document:read',
    ])
    await app.close()
  })
})
