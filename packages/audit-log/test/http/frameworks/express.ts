import express, { type Request, type Response, type Router } from 'express'
import { expressAudit } from '../../../src/express/index.ts'
import { actorOf, closed, listen, routesOf, type Route, type Serve, type Session } from './served-app.ts'

interface WithSession extends Request {
  session: Session
}

export const serveExpress: Serve = async ({ skipPath, change, ...options }) => {
  const app = express()
  // Express prints errors that no handler of the application takes.
  app.set('env', 'test')
  const { own, mounted } = routesOf(change)
  const add = (to: Router, { method, path, handle }: Route): unknown =>
    to[method](path, async (req: Request, res: Response) => {
      const { session } = req as WithSession
      const reply = await handle({ id: req.params.id as string, session, body: req.body, gone: closed(res) })
      res.status(reply.status).set(reply.headers ?? {})
      if (reply.stream) reply.stream.pipe(res)
      else if (reply.body) res.json(reply.body)
      else res.end()
    })
  app.use((req, _res, next) => {
    Object.assign(req, { session: {} })
    next()
  })
  app.use(
    expressAudit({
      ...options,
      actor: (req: WithSession) => actorOf(req.session),
      sessionId: req => req.session.id,
      skip: req => req.path === skipPath,
    }),
  )
  app.use(express.json())
  const inner = express.Router()
  for (const route of own) add(app, route)
  for (const route of mounted) add(inner, route)
  app.use('/api/v1', inner)
  return listen(app)
}
