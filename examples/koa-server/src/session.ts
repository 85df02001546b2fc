import type { Session, Sessions } from '@countersign/cache-adapter'
import type { Middleware } from 'koa'
import { Problem } from './problem.ts'

export interface CurrentSession extends Session {
  /** What the client shows; kept by nobody but the client. */
  readonly token: string
}

const scheme = /^Bearer ([A-Za-z0-9_-]{20,100})$/i

/** Reads the session whose token the request carries; without one the request goes on as nobody. */
export function readSession(sessions: Sessions): Middleware {
  return async function readSession(ctx, next) {
    const token = scheme.exec(ctx.get('authorization'))?.[1]
    if (token !== undefined) {
      const session = await sessions.read(token)
      if (session) ctx.state.session = { ...session, token } satisfies CurrentSession
    }
    await next()
  }
}

/** The session of the request, if it came with one. */
export function currentSession(ctx: { readonly state: unknown }): CurrentSession | undefined {
  return (ctx.state as { session?: CurrentSession }).session
}

/** The session of the request, for a handler that stands behind a guard. */
export function sessionOf(ctx: { readonly state: unknown }): CurrentSession {
  const session = currentSession(ctx)
  if (!session) throw new Problem(401, 'UNAUTHENTICATED', 'Sign in first')
  return session
}
