import { currentAccess } from '@countersign/rbac-core'
import { expressAccess, expressGuards, routeInventory } from '@countersign/rbac-core/express'
import express from 'express'
import type { AddressInfo } from 'node:net'
import { authorizer, permissions } from './policy.ts'

const { requirePermission } = expressGuards(permissions)
const createInTeam = requirePermission('document:create', { scope: req => `team:${String(req.params.team)}` })

const app = express()
app.use(expressAccess({ authorizer, subjectId: req => req.get('x-user') }))
app.get('/health', (_req, res) => {
  res.json({ up: true })
})
app.get('/documents/:id', requirePermission('document:read'), (req, res) => {
  res.json({ id: req.params.id, reader: currentAccess()?.subjectId })
})
app.post('/teams/:team/documents', createInTeam, (req, res) => {
  res.status(201).json({ team: req.params.team, author: currentAccess()?.subjectId })
})

for (const { method, path, requires } of routeInventory(app)) {
  process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
}
const server = app.listen(Number(process.env.PORT ?? 3000), () => {
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`)
})
