import { koaAudit } from '@countersign/audit-log/koa'
import { koaAccess } from '@countersign/rbac-core/koa'
import { bodyParser } from '@koa/bodyparser'
import Koa from 'koa'
import { health } from './health.ts'
import { problems } from './problem.ts'
import { documentRoutes } from './routes/documents.ts'
import { sessionRoutes } from './routes/session.ts'
import { userRoutes } from './routes/users.ts'
import { currentSession, readSession } from './session.ts'
import type { System } from './system.ts'

/** The way of a request: who is it, what may they do, do it, and keep the proof. */
export function createApp(system: System): Koa {
  const { audit, authorizer, sessions, config, log } = system
  const app = new Koa({ proxy: config.trustProxy, maxIpsCount: 1 })
  app.use(health(system))
  app.use(problems(log))
  app.use(
    koaAudit({
      audit,
      actor: ctx => {
        const session = currentSession(ctx)
        return session && { id: session.userId, type: 'user' }
      },
      sessionId: ctx => currentSession(ctx)?.token,
    }),
  )
  app.use(readSession(sessions))
  app.use(koaAccess({ authorizer, subjectId: ctx => currentSession(ctx)?.userId }))
  app.use(bodyParser({ enableTypes: ['json'], jsonLimit: '1mb' }))
  for (const routes of [sessionRoutes(system), documentRoutes(system), userRoutes(system)]) {
    app.use(routes.routes())
    app.use(routes.allowedMethods())
  }
  return app
}
