import {
  createAuthorizer,
  currentAccess,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  type Access,
  type Authorizer,
  type GrantStore,
  type PermissionName,
} from '@countersign/rbac-core'
import { koaAccess, koaGuards, routeInventory, routeProblems } from '@countersign/rbac-core/koa'
import Router from '@koa/router'
import Koa from 'koa'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'publish'], user: ['manage'] })
const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    publisher: { inherits: ['viewer'], permissions: ['document:publish'] },
  },
})
const memory = memoryGrantStore({
  policy,
  assignments: {
    ann: ['publisher'],
    vic: ['viewer'],
    tom: [{ role: 'publisher', scope: 'team:7' }],
    off: { roles: ['publisher'], isActive: false },
    root: { roles: [], isSuperuser: true },
  },
})

interface State {
  session?: { userId: string }
}

const app = new Koa<State>()
const router = new Router<State>()
let reached: string[] = []
let errors: unknown[] = []
let authorizer: Authorizer<PermissionName<typeof permissions>>
let server: Server
let base: string

beforeAll(async () => {
  authorizer = createAuthorizer({ permissions, store: memory, maxStalenessMs: 30_000, changes: memory.changes })
  app.on('error', error => errors.push(error))
  app.use(async (ctx, next) => {
    const userId = ctx.get('x-user')
    if (userId) ctx.state.session = { userId }
    await next()
  })
  app.use(koaAccess({ authorizer, subjectId: (ctx: { state: State }) => ctx.state.session?.userId }))
  const guards = koaGuards(permissions)
  const { requirePermission, requireAccess, requireRole } = guards
  router.get('/documents/:id', requirePermission('document:read'), ctx => {
    reached.push('read')
    ctx.body = { subject: currentAccess()?.subjectId, state: (ctx.state as { access?: Access }).access?.subjectId }
  })
  router.get(
    '/teams/:team',
    requirePermission('document:publish', { scope: ctx => `team:${ctx.params.team}` }),
    async ctx => {
      await new Promise(resolve => setTimeout(resolve, 5))
      ctx.body = { subject: currentAccess()?.subjectId }
    },
  )
  router.get(
    '/broken',
    requirePermission('document:read', {
      scope: () => {
        throw new Error('the secret of the resolver')
      },
    }),
    () => reached.push('broken'),
  )
  router.post('/review', requireAccess({ allOf: ['document:read', { not: { role: 'publisher' } }] }), ctx => {
    ctx.body = 'reviewed'
  })
  router.get('/role', requireRole('viewer'), ctx => {
    ctx.body = 'in'
  })
  router.get('/health', ctx => {
    ctx.body = 'up'
  })
  app.use(router.routes())
  server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

beforeEach(() => {
  reached = []
  errors = []
})

afterAll(async () => {
  server.close()
  await authorizer.close()
})

function call(path: string, user?: string, method = 'GET'): Promise<Response> {
  return fetch(base + path, { method, ...(user !== undefined && { headers: { 'x-user': user } }) })
}

test('a request whose subject has the permission reaches the handler, with its access in context and state', async () => {
  const response = await call('/documents/1', 'vic')
  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({ subject: 'vic', state: 'vic' })
})

test('a request without a subject is answered 401 with a challenge and problem details', async () => {
  const response = await call('/documents/1')
  expect(response.status).toBe(401)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(response.headers.get('www-authenticate')).toBe('Bearer')
  expect(await response.json()).toEqual({
    type: 'about:blank',
    title: 'Sign in to continue',
    status: 401,
    code: 'UNAUTHENTICATED',
  })
  expect(reached).toEqual([])
})

test.each([
  ['a subject without the permission', '/teams/7', 'vic'],
  ['an inactive subject', '/documents/1', 'off'],
  ['a subject the store does not know', '/documents/1', 'nobody'],
  ['a subject with the permission in another scope', '/teams/8', 'tom'],
  ['a subject with a role that "not" excludes', '/review', 'ann'],
  ['a subject without the role', '/role', 'off'],
])('%s is answered 403 with problem details', async (_who, path, user) => {
  const response = await call(path, user, path === '/review' ? 'POST' : 'GET')
  expect(response.status).toBe(403)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(await response.json()).toEqual({
    type: 'about:blank',
    title: 'You may not do this',
    status: 403,
    code: 'PERMISSION_DENIED',
  })
  expect(reached).toEqual([])
})

test('the scope of a guard comes from the route', async () => {
  expect((await call('/teams/7', 'tom')).status).toBe(200)
  expect((await call('/teams/7', 'ann')).status).toBe(200)
})

test('an active superuser passes every guard', async () => {
  expect((await call('/documents/1', 'root')).status).toBe(200)
  expect((await call('/review', 'root', 'POST')).status).toBe(200)
  expect((await call('/role', 'root')).status).toBe(200)
})

test('an error in a scope resolver denies, reaches the error event and does not leak', async () => {
  const response = await call('/broken', 'ann')
  expect(response.status).toBe(403)
  expect(await response.text()).not.toContain('secret')
  expect(reached).toEqual([])
  expect(errors).toEqual([expect.objectContaining({ code: 'PERMISSION_DENIED', cause: expect.any(Error) as Error })])
})

test('requests at the same time keep their own access', async () => {
  const users = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'ann' : 'tom'))
  const answers = await Promise.all(users.map(async user => (await call('/teams/7', user)).json()))
  expect(answers).toEqual(users.map(subject => ({ subject })))
})

test('when the store is down a request with a subject is answered 503, and one without as ever', async () => {
  const down: GrantStore = {
    loadPolicy: () => Promise.reject(new Error('connection refused at 10.0.0.7')),
    loadSubject: () => Promise.reject(new Error('connection refused at 10.0.0.7')),
    loadVersion: () => Promise.reject(new Error('connection refused at 10.0.0.7')),
  }
  const failing = createAuthorizer({ permissions, store: down, maxStalenessMs: 30_000 })
  const other = new Koa()
  other.on('error', error => errors.push(error))
  other.use(koaAccess({ authorizer: failing, subjectId: () => 'ann' }))
  other.use(koaGuards(permissions).requirePermission('document:read'))
  other.use(() => reached.push('handler'))
  const otherServer = other.listen(0, '127.0.0.1')
  await once(otherServer, 'listening')
  const response = await fetch(`http://127.0.0.1:${(otherServer.address() as AddressInfo).port}/`)
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  const body = await response.text()
  expect(JSON.parse(body)).toMatchObject({ status: 503, code: 'GRANT_STORE_UNAVAILABLE' })
  expect(body).not.toContain('10.0.0.7')
  expect(reached).toEqual([])
  expect(errors).toHaveLength(1)
  otherServer.close()
  await failing.close()
})

test('an inventory lists each route with what it requires and shows the unguarded one', () => {
  expect(routeInventory(router)).toEqual([
    { method: 'GET', path: '/documents/:id', requires: 'document:read' },
    { method: 'GET', path: '/teams/:team', requires: 'document:publish' },
    { method: 'GET', path: '/broken', requires: 'document:read' },
    { method: 'POST', path: '/review', requires: 'all of (document:read, not (role publisher))' },
    { method: 'GET', path: '/role', requires: 'role viewer' },
    { method: 'GET', path: '/health', requires: undefined },
  ])
})

test('an inventory counts a guard that the router uses above a route, also with a prefix and in a nested router', () => {
  const { requirePermission } = koaGuards(permissions)
  const nested = new Router({ prefix: '/admin' })
  nested.get('/before', () => undefined)
  nested.use(requirePermission('user:manage'))
  nested.get('/users/:id', requirePermission('document:read'), () => undefined)
  const outer = new Router()
  outer.get('/public', () => undefined)
  outer.use('/api', nested.routes())
  expect(routeInventory(outer)).toEqual([
    { method: 'GET', path: '/public', requires: undefined },
    { method: 'GET', path: '/api/admin/before', requires: undefined },
    { method: 'GET', path: '/api/admin/users/:id', requires: 'user:manage and document:read' },
  ])
})

test('a check of the routes finds the one that anybody can call, and is content when it is meant', () => {
  expect(routeProblems(router)).toEqual([{ method: 'GET', path: '/health', problem: 'unguarded' }])
  expect(routeProblems(router, { open: ['GET /health'], policy })).toEqual([])
})

test('a check of the routes finds the ones that no role can pass', () => {
  const { requireAccess, requirePermission, requireRole } = koaGuards(permissions)
  const other = new Router()
  const handler = (): undefined => undefined
  other.get('/no-role-has-it', requirePermission('user:manage'), handler)
  other.get('/no-such-role', requireRole('boss'), handler)
  other.get('/all', requireAccess({ allOf: ['document:read', 'user:manage'] }), handler)
  other.get('/any', requireAccess({ anyOf: ['document:read', 'user:manage'] }), handler)
  other.get('/not', requireAccess({ not: { role: 'boss' } }), handler)
  other.get('/role', requireRole('viewer'), handler)
  expect(routeProblems(other, { policy })).toEqual(
    ['/no-role-has-it', '/no-such-role', '/all'].map(path => ({ method: 'GET', path, problem: 'never-granted' })),
  )
})

test.each(['GET /documents/:id', 'GET /gone', 'POST /health'])(
  'a list of open routes that names %s, which is none or has a guard, is refused',
  route => {
    expect(() => routeProblems(router, { open: ['GET /health', route] })).toThrow(
      expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'open' }),
    )
  },
)
