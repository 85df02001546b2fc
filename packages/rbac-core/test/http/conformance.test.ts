import { createAuthorizer, memoryGrantStore, type Authorizer, type GrantStore } from '@countersign/rbac-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { serveExpress } from './frameworks/express.ts'
import { serveFastify } from './frameworks/fastify.ts'
import { serveHono } from './frameworks/hono.ts'
import { serveKoa } from './frameworks/koa.ts'
import { serveNest } from './frameworks/nest.ts'
import { permissions, policy, type ServedApp } from './frameworks/served-app.ts'

const people = Array.from({ length: 25 }, (_, index) => [`ann${index}`, `tom${index}`]).flat()
const store = memoryGrantStore({
  policy,
  assignments: {
    ann: ['publisher'],
    vic: ['viewer'],
    tom: [{ role: 'publisher', scope: 'team:7' }],
    off: { roles: ['publisher'], isActive: false },
    root: { roles: [], isSuperuser: true },
    ...Object.fromEntries(
      people.map(id => [id, [id.startsWith('tom') ? { role: 'publisher', scope: 'team:7' } : 'publisher']]),
    ),
  },
})
const down: GrantStore = {
  loadPolicy: () => Promise.reject(new Error('connection refused at 10.0.0.7')),
  loadSubject: () => Promise.reject(new Error('connection refused at 10.0.0.7')),
  loadVersion: () => Promise.reject(new Error('connection refused at 10.0.0.7')),
}

describe.each([
  ['Koa', serveKoa],
  ['Express', serveExpress],
  ['Fastify', serveFastify],
  ['Hono', serveHono],
  ['Nest', serveNest],
])('%s', (framework, serve) => {
  let reached: string[] = []
  let reports: string[] = []
  let authorizer: Authorizer
  let failing: Authorizer
  let app: ServedApp
  let appWithoutStore: ServedApp
  const recorders = { reach: (route: string) => reached.push(route), report: (text: string) => reports.push(text) }

  beforeAll(async () => {
    const maxStalenessMs = 30_000
    const own = createAuthorizer({ permissions, store, maxStalenessMs, changes: store.changes })
    const without = createAuthorizer({ permissions, store: down, maxStalenessMs })
    authorizer = own
    failing = without
    app = await serve({ ...recorders, authorizer: own })
    appWithoutStore = await serve({ ...recorders, authorizer: without })
  })
  beforeEach(() => {
    reached = []
    reports = []
  })
  afterAll(async () => {
    await Promise.all([app.close(), appWithoutStore.close()])
    await Promise.all([authorizer.close(), failing.close()])
  })

  const call = (path: string, user?: string, init?: RequestInit): Promise<Response> =>
    fetch(app.url + path, { ...init, headers: { ...init?.headers, ...(user !== undefined && { 'x-user': user }) } })

  test('a subject with the permission reaches the handler, with its access in context', async () => {
    const response = await call('/documents/1', 'vic')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ subject: 'vic' })
  })

  test('the access is in context too after a body was read', async () => {
    const body = JSON.stringify({ title: 'Minutes '.repeat(10_000) })
    const init = { method: 'POST', body, headers: { 'content-type': 'application/json' } }
    const response = await call('/documents', 'ann', init)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ subject: 'ann', title: expect.any(String) as string })
    expect((await call('/documents', 'vic', init)).status).toBe(403)
  })

  test('a request without a subject is answered 401 with a challenge and problem details', async () => {
    const response = await call('/documents/1')
    expect(response.status).toBe(401)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json(; charset=utf-8)?$/)
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
    ['a subject without the permission', '/teams/7', 'vic', 'GET'],
    ['an inactive subject', '/documents/1', 'off', 'GET'],
    ['a subject the store does not know', '/documents/1', 'nobody', 'GET'],
    ['a subject with the permission in another scope', '/teams/8', 'tom', 'GET'],
    ['a subject with a role that "not" excludes', '/review', 'ann', 'POST'],
    ['a subject without the role', '/role', 'off', 'GET'],
  ])('%s is answered 403 with problem details', async (_who, path, user, method) => {
    const response = await call(path, user, { method })
    expect(response.status).toBe(403)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json(; charset=utf-8)?$/)
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
    expect((await call('/teams/8', 'tom')).status).toBe(403)
    expect((await call('/teams/8', 'ann')).status).toBe(200)
  })

  test('one declaration combines permissions, roles and "not"', async () => {
    expect((await call('/review', 'vic', { method: 'POST' })).status).toBe(200)
    expect((await call('/role', 'vic')).status).toBe(200)
  })

  test('an active superuser passes every guard', async () => {
    for (const path of ['/documents/1', '/teams/9', '/role']) expect((await call(path, 'root')).status).toBe(200)
    expect((await call('/review', 'root', { method: 'POST' })).status).toBe(200)
  })

  test.each(['/broken', '/broken/later'])(
    'a scope of %s that cannot be told denies, is reported and does not leak',
    async path => {
      const response = await call(path, 'root')
      expect(response.status).toBe(403)
      expect(await response.text()).not.toContain('secret')
      expect(reached).toEqual([])
      expect(reports.join()).toContain('the secret of the resolver')
    },
  )

  test('a subject that cannot be told ends the request', async () => {
    const response = await call('/health', '!')
    expect(response.status).toBe(500)
    expect(reached).toEqual([])
  })

  test('requests at the same time keep their own access', async () => {
    const answers = await Promise.all(people.map(async user => (await call('/teams/7', user)).json()))
    expect(answers).toEqual(people.map(subject => ({ subject })))
  })

  test('a request without a subject never gets the access of one that runs beside it', async () => {
    const mixed = [...people, ...people.map(() => undefined)]
    const answers = await Promise.all(mixed.map(async user => (await call('/health', user)).json()))
    expect(answers).toEqual(mixed.map(subject => (subject === undefined ? {} : { subject })))
  })

  test('a route without a guard is open', async () => {
    const response = await call('/health')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({})
  })

  test('HEAD is guarded as GET is, and OPTIONS runs no handler', async () => {
    const heads = await Promise.all(
      [undefined, 'off', 'vic'].map(user => call('/documents/1', user, { method: 'HEAD' })),
    )
    expect(heads.map(({ status }) => status)).toEqual([401, 403, 200])
    expect(await heads[0]?.text()).toBe('')
    reached = []
    expect((await call('/documents/1', undefined, { method: 'OPTIONS' })).status).toBeLessThan(500)
    expect(reached).toEqual([])
  })

  test('with the store down a request with a subject is answered 503 and reported, one without as ever', async () => {
    const response = await fetch(`${appWithoutStore.url}/documents/1`, { headers: { 'x-user': 'ann' } })
    expect(response.status).toBe(503)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json(; charset=utf-8)?$/)
    expect(response.headers.get('retry-after')).toBe('1')
    const body = await response.text()
    expect(JSON.parse(body)).toMatchObject({ status: 503, code: 'GRANT_STORE_UNAVAILABLE' })
    expect(body).not.toContain('10.0.0.7')
    expect(reached).toEqual([])
    expect(reports.join()).toContain('10.0.0.7')
    expect((await fetch(`${appWithoutStore.url}/health`)).status).toBe(200)
    expect((await fetch(`${appWithoutStore.url}/documents/1`)).status).toBe(401)
  })

  test('an inventory lists each route with what it requires', () => {
    const listed = app.routeInventory()
    expect(new Map(listed.map(({ method, path, requires }) => [`${method} ${path}`, requires]))).toEqual(
      new Map([
        ['GET /health', undefined],
        ['GET /documents/:id', 'document:read'],
        ['POST /documents', 'document:publish'],
        ['GET /teams/:team', 'document:publish'],
        ['POST /review', 'all of (document:read, not (role publisher))'],
        ['GET /role', 'role viewer'],
        ['GET /broken', 'document:read'],
        ['GET /broken/later', 'document:read'],
      ]),
    )
    expect(listed).toHaveLength(8)
  })

  test(`a check of ${framework}'s routes finds the one that anybody can call, and is content when it is meant`, () => {
    expect(app.routeProblems({ policy })).toEqual([{ method: 'GET', path: '/health', problem: 'unguarded' }])
    expect(app.routeProblems({ policy, open: ['GET /health'] })).toEqual([])
    expect(() => app.routeProblems({ open: ['GET /gone'] })).toThrow(
      expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'open' }),
    )
  })
})
