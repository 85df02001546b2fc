import {
  createAuthorizer,
  createGuards,
  currentAccess,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  runWithAccess,
} from '@countersign/rbac-core'
import { koaAccess, koaGuards, type KoaAccessOptions } from '@countersign/rbac-core/koa'
import Koa from 'koa'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { until } from '../support/wait.ts'

const permissions = definePermissions({ payment: ['enter', 'audit'] })
const policy = definePolicy(permissions, {
  roles: { clerk: { permissions: ['payment:enter'] }, auditor: { permissions: ['payment:audit'] } },
  separationOfDuty: [{ name: 'one-hat', kind: 'dynamic', roles: ['clerk', 'auditor'], atMost: 1 }],
})
const store = memoryGrantStore({ policy, assignments: { ann: ['clerk', 'auditor'], vic: ['clerk'] } })
const { requirePermission } = koaGuards(permissions)

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

interface Served {
  readonly url: string
  readonly errors: unknown[]
}

async function serve(
  options: Omit<KoaAccessOptions, 'authorizer'>,
  use: (app: Koa) => unknown,
  maxStalenessMs = 30_000,
): Promise<Served> {
  const authorizer = createAuthorizer({ permissions, store, maxStalenessMs })
  const errors: unknown[] = []
  const app = new Koa()
  app.on('error', error => errors.push(error))
  app.use(koaAccess({ authorizer, ...options }))
  use(app)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(
    () => server.close(),
    () => authorizer.close(),
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, errors }
}

const answer = (app: Koa): unknown =>
  app.use(ctx => {
    ctx.body = { subject: currentAccess()?.subjectId ?? null, state: 'access' in ctx.state }
  })

test.each([undefined, null])('a request whose subject is %s runs without an access', async subject => {
  const { url } = await serve({ subjectId: () => subject }, answer)
  expect(await (await fetch(url)).json()).toEqual({ subject: null, state: true })
})

test('a subject may be named by a promise', async () => {
  const { url } = await serve({ subjectId: async () => 'vic' }, answer)
  expect(await (await fetch(url)).json()).toEqual({ subject: 'vic', state: true })
})

test('an error while naming the subject ends the request, and nothing further down runs', async () => {
  let reached = false
  const subjectId = (): never => {
    throw new Error('no session store')
  }
  const { url, errors } = await serve({ subjectId }, app => app.use(() => (reached = true)))
  expect((await fetch(url)).status).toBe(500)
  expect(reached).toBe(false)
  expect(errors).toEqual([expect.objectContaining({ message: 'no session store' })])
})

test('the roles in use come from the request; too many of them are answered 403', async () => {
  const { url } = await serve(
    { subjectId: () => 'ann', activeRoles: (ctx: Koa.Context) => ctx.get('x-roles').split(',') },
    app => {
      app.use(requirePermission('payment:audit'))
      answer(app)
    },
  )
  const as = (roles: string): Promise<Response> => fetch(url, { headers: { 'x-roles': roles } })
  expect((await as('auditor')).status).toBe(200)
  expect((await as('clerk')).status).toBe(403)
  const both = await as('clerk,auditor')
  expect(both.status).toBe(403)
  expect(await both.json()).toMatchObject({ code: 'SEPARATION_OF_DUTY', status: 403 })
})

test('a request that outlives the bound is denied as stale where it is guarded next', async () => {
  const guard = createGuards(permissions).requirePermission('payment:enter')
  const { url } = await serve(
    { subjectId: () => 'vic' },
    app => {
      app.use(requirePermission('payment:enter'))
      app.use(async (_ctx, next) => {
        await until(() => currentAccess()?.stale ?? true)
        await next()
      })
      app.use(requirePermission('payment:enter'))
      app.use(guard.wrap(answer))
    },
    100,
  )
  const response = await fetch(url)
  expect(response.status).toBe(403)
  expect(await response.json()).toMatchObject({ code: 'STALE_ACCESS' })
})

test('a scope may be named by a promise, and one that rejects denies', async () => {
  const scoped = (scope: () => Promise<string>): Promise<Served> =>
    serve({ subjectId: () => 'vic' }, app => {
      app.use(requirePermission('payment:enter', { scope }))
      answer(app)
    })
  expect((await fetch((await scoped(async () => 'team:7')).url)).status).toBe(200)
  const failing = await scoped(() => Promise.reject(new Error('unknown team')))
  expect((await fetch(failing.url)).status).toBe(403)
  expect(failing.errors).toEqual([expect.objectContaining({ code: 'PERMISSION_DENIED' })])
  const missing = await scoped(async () => undefined as never)
  expect((await fetch(missing.url)).status).toBe(403)
})

test('an error of the handler passes the guard as it is', async () => {
  const { url, errors } = await serve({ subjectId: () => 'vic' }, app => {
    app.use(requirePermission('payment:enter'))
    app.use(() => {
      throw new Error('of the handler')
    })
  })
  expect((await fetch(url)).status).toBe(500)
  expect(errors).toEqual([expect.objectContaining({ message: 'of the handler' })])
})

const { requirePermission: guardedBy, requireRole } = createGuards(permissions)

test.each([
  ['assert', 403, 'PERMISSION_DENIED', (): unknown => currentAccess()?.assert('payment:audit')],
  ['a guarded function', 403, 'PERMISSION_DENIED', guardedBy('payment:audit').wrap(() => 1)],
  [
    'a guarded function that runs without an access',
    401,
    'UNAUTHENTICATED',
    (): unknown =>
      runWithAccess(
        undefined,
        requireRole('clerk').wrap(() => 1),
      ),
  ],
])('a denial thrown further down by %s is answered %i', async (_what, status, code, run) => {
  const { url, errors } = await serve({ subjectId: () => 'vic' }, app => app.use(() => run()))
  const response = await fetch(url)
  expect(response.status).toBe(status)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(await response.json()).toMatchObject({ status, code })
  expect(errors).toEqual([])
})

test('a broken static rule is no denial of the request, and is left to the handler', async () => {
  const rules = definePolicy(permissions, {
    roles: { clerk: {}, auditor: {} },
    separationOfDuty: [{ name: 'x', kind: 'static', roles: ['clerk', 'auditor'], atMost: 1 }],
  })
  const { url, errors } = await serve({ subjectId: () => 'vic' }, app =>
    app.use(() => memoryGrantStore({ policy: rules }).setSubject('ann', ['clerk', 'auditor'])),
  )
  expect((await fetch(url)).status).toBe(500)
  expect(errors).toEqual([expect.objectContaining({ code: 'SEPARATION_OF_DUTY' })])
})

test('a denial after the answer cannot be answered, and reaches the error event', async () => {
  const { url, errors } = await serve({ subjectId: () => 'vic' }, app =>
    app.use(ctx => {
      ctx.res.end('answered')
      currentAccess()?.assert('payment:audit')
    }),
  )
  expect(await (await fetch(url)).text()).toBe('answered')
  await until(() => errors.length > 0)
  expect(errors).toEqual([expect.objectContaining({ code: 'PERMISSION_DENIED' })])
})
