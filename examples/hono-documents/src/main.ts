import { serve } from '@hono/node-server'
import { currentAccess } from '@countersign/rbac-core'
import { honoAccess, honoGuards, routeInventory } from '@countersign/rbac-core/hono'
import { Hono } from 'hono'
import { authorizer, permissions } from './policy.ts'

const { requirePermission } = honoGuards(permissions)
const createInTeam = requirePermission('document:create', { scope: c => `team:${c.req.param('team')}` })

const app = new Hono()
app.use(honoAccess({ authorizer, subjectId: c => c.req.header('x-user') }))
app.get('/health', c => c.json({ up: true }))
app.get('/documents/:id', requirePermission('document:read'), c =>
  c.json({ id: c.req.param('id'), reader: currentAccess()?.subjectId }),
)
app.post('/teams/:team/documents', createInTeam, c =>
  c.json({ team: c.req.param('team'), author: currentAccess()?.subjectId }, 201),
)

for (const { method, path, requires } of routeInventory(app)) {
  process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
}
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  process.stdout.write(`http://localhost:${port}\n`)
})
