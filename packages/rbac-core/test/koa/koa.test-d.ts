import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
import { koaAccess, koaGuards, routeInventory, type KoaContextLike } from '@countersign/rbac-core/koa'
import Router from '@koa/router'
import Koa from 'koa'
import { assertType, test } from 'vitest'

const permissions = definePermissions({ document: ['read'] })
const policy = definePolicy(permissions, { roles: { viewer: { permissions: ['document:read'] } } })
const authorizer = createAuthorizer({ permissions, store: memoryGrantStore({ policy }), maxStalenessMs: 1000 })
const { requirePermission } = koaGuards(permissions)

interface State {
  session?: { userId: string }
}

test('the middleware fits the real Koa and router, with and without a state of their own', () => {
  const app = new Koa()
  const router = new Router()
  app.use(koaAccess({ authorizer, subjectId: ctx => (ctx.state as State).session?.userId }))
  app.use(requirePermission('document:read'))
  router.get('/documents/:id', requirePermission('document:read'), ctx => {
    ctx.body = ctx.params.id
  })
  router.use(requirePermission('document:read'))
  router.get('/teams/:team', requirePermission('document:read', { scope: ctx => `team:${ctx.params.team}` }), () => {})
  const typedApp = new Koa<State>()
  const typedRouter = new Router<State>()
  typedApp.use(koaAccess({ authorizer, subjectId: (ctx: { state: State }) => ctx.state.session?.userId }))
  typedApp.use(koaAccess({ authorizer, subjectId: async (ctx: Koa.ParameterizedContext<State>) => ctx.get('x-user') }))
  typedRouter.get('/', requirePermission('document:read'), () => {})
  routeInventory(router)
  routeInventory(typedRouter)
})

test('the context that is asked for is the one Koa has', () => {
  assertType<KoaContextLike>({} as Koa.Context)
  assertType<KoaContextLike>({} as Koa.ParameterizedContext<State>)
})

test('names are checked', () => {
  // @ts-expect-error a misspelt permission
  requirePermission('document:raed')
  // @ts-expect-error a scope is a string
  requirePermission('document:read', { scope: () => 7 })
  // @ts-expect-error a subject's id is a string
  koaAccess({ authorizer, subjectId: () => 7 })
})
