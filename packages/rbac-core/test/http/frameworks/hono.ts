import { currentAccess } from '@countersign/rbac-core'
import { honoAccess, honoGuards, routeInventory, routeProblems } from '@countersign/rbac-core/hono'
import { getRequestListener } from '@hono/node-server'
import { Hono, type Context } from 'hono'
import { setTimeout } from 'node:timers/promises'
import { watchFailures } from './failures.ts'
import { listen } from './listen.ts'
import { brokenScope, laterBrokenScope, permissions, subjectOf, type Serve } from './served-app.ts'

export const serveHono: Serve = async ({ authorizer, reach, report }) => {
  const { requireAccess, requirePermission, requireRole } = honoGuards(permissions)
  const app = new Hono()
  // Hono prints errors that no handler of the application takes.
  app.onError((_error, c) => c.text('Internal Server Error', 500))
  const answer = (c: Context, facts: object = {}): Response => {
    reach(c.req.path)
    return c.json({ subject: currentAccess()?.subjectId, ...facts })
  }
  app.use(honoAccess({ authorizer, subjectId: c => subjectOf(c.req.header('x-user')) }))
  app.get('/health', c => answer(c))
  app.get('/documents/:id', requirePermission('document:read'), c => answer(c))
  app.post('/documents', requirePermission('document:publish'), async c => answer(c, await c.req.json<object>()))
  app.get(
    '/teams/:team',
    requirePermission('document:publish', { scope: c => `team:${c.req.param('team')}` }),
    async c => {
      await setTimeout(5)
      return answer(c)
    },
  )
  app.post('/review', requireAccess({ allOf: ['document:read', { not: { role: 'publisher' } }] }), c => answer(c))
  app.get('/role', requireRole('viewer'), c => answer(c))
  app.get('/broken', requirePermission('document:read', { scope: brokenScope }), c => answer(c))
  app.get('/broken/later', requirePermission('document:read', { scope: laterBrokenScope }), c => answer(c))

  const unwatch = watchFailures(report)
  const { url, close } = await listen(getRequestListener(app.fetch))
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
