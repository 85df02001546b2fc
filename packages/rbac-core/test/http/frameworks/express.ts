import { currentAccess } from '@countersign/rbac-core'
import { expressAccess, expressGuards, routeInventory, routeProblems } from '@countersign/rbac-core/express'
import express, { type Request, type Response } from 'express'
import { setTimeout } from 'node:timers/promises'
import { watchFailures } from './failures.ts'
import { listen } from './listen.ts'
import { brokenScope, laterBrokenScope, permissions, subjectOf, type Serve } from './served-app.ts'

export const serveExpress: Serve = async ({ authorizer, reach, report }) => {
  const { requireAccess, requirePermission, requireRole } = expressGuards(permissions)
  const app = express()
  // Express prints errors that no handler of the application takes.
  app.set('env', 'test')
  const answer = (req: Request, res: Response): void => {
    reach(req.path)
    res.json({ subject: currentAccess()?.subjectId, ...(req.body as object | undefined) })
  }
  app.use(expressAccess({ authorizer, subjectId: req => subjectOf(req.get('x-user')) }))
  app.use(express.json())
  app.get('/health', answer)
  app.get('/documents/:id', requirePermission('document:read'), answer)
  app.post('/documents', requirePermission('document:publish'), answer)
  app.get(
    '/teams/:team',
    requirePermission('document:publish', { scope: req => `team:${String(req.params.team)}` }),
    async (req, res) => {
      await setTimeout(5)
      answer(req, res)
    },
  )
  app.post('/review', requireAccess({ allOf: ['document:read', { not: { role: 'publisher' } }] }), answer)
  app.get('/role', requireRole('viewer'), answer)
  app.get('/broken', requirePermission('document:read', { scope: brokenScope }), answer)
  app.get('/broken/later', requirePermission('document:read', { scope: laterBrokenScope }), answer)

  const unwatch = watchFailures(report)
  const { url, close } = await listen(app)
  return {
    url,
    close: async () => {
      unwatch()
      await close()
    },
    routeInventory: () => routeInventory(app),
    routeProblems: options => routeProblems(app, options),
  }
}
