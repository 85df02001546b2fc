import Router from '@koa/router'
import { currentAccess } from '@countersign/rbac-core'
import { koaAccess, koaGuards, routeInventory } from '@countersign/rbac-core/koa'
import Koa from 'koa'
import type { AddressInfo } from 'node:net'
import { authorizer, permissions } from './policy.ts'

const { requirePermission } = koaGuards(permissions)
const createInTeam = requirePermission('document:create', { scope: ctx => `team:${ctx.params.team}` })

const router = new Router()
router.get('/health', ctx => {
  ctx.body = { up: true }
})
router.get('/documents/:id', requirePermission('document:read'), ctx => {
  ctx.body = { id: ctx.params.id, reader: currentAccess()?.subjectId }
})
router.post('/teams/:team/documents', createInTeam, ctx => {
  ctx.status = 201
  ctx.body = { team: ctx.params.team, author: currentAccess()?.subjectId }
})

const app = new Koa()
app.use(koaAccess({ authorizer, subjectId: ctx => ctx.get('x-user') || undefined }))
app.use(router.routes())

for (const { method, path, requires } of routeInventory(router)) {
  process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
}
const server = app.listen(Number(process.env.PORT ?? 3000), () => {
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`)
})
