import Router from '@koa/router'
import { verifyPassword } from '../password.ts'
import { Problem } from '../problem.ts'
import { sessionOf } from '../session.ts'
import type { System } from '../system.ts'
import { reader, text } from '../validation.ts'

const readCredentials = reader<{ username: string; password: string }>({
  type: 'object',
  properties: {
    username: text(1, 150),
    password: text(1, 200),
  },
  required: ['username', 'password'],
  additionalProperties: false,
})

interface UserRow {
  id: string
  username: string
  password_hash: string
  is_active: boolean
}

/** Signing in, looking at one's own session, signing out. */
export function sessionRoutes({ knex, sessions, audit }: System): Router {
  const router = new Router({ prefix: '/api/v1/session' })

  router.post('/', async ctx => {
    const { username, password } = readCredentials(ctx.request.body)
    const user = await knex<UserRow>('users')
      .whereRaw('lower(username) = lower(?)', [username])
      .first('id', 'username', 'password_hash', 'is_active')
    const fits = await verifyPassword(user?.password_hash, password)
    if (!user?.is_active || !fits) {
      await audit.recordDurably({
        action: 'authn_login_fail',
        outcome: 'failure',
        severity: 'warn',
        metadata: { username },
      })
      throw new Problem(401, 'CREDENTIALS_WRONG', 'The user name or the password is wrong')
    }
    const session = await sessions.create({ userId: user.id, data: { username: user.username } })
    await knex('users').where({ id: user.id }).update({ last_login: knex.fn.now() })
    await audit.run({ actor: { id: user.id, type: 'user' } }, () =>
      audit.recordDurably({
        action: 'authn_login_success',
        resource: { type: 'user', id: user.id, repr: user.username },
      }),
    )
    ctx.status = 201
    ctx.set('Cache-Control', 'no-store')
    ctx.body = { token: session.id, expiresAt: session.expiresAt, user: { id: user.id, username: user.username } }
  })

  router.get('/', ctx => {
    const { userId, data } = sessionOf(ctx)
    ctx.set('Cache-Control', 'no-store')
    ctx.body = { user: { id: userId, username: data.username } }
  })

  router.delete('/', async ctx => {
    const { token } = sessionOf(ctx)
    await sessions.destroy(token)
    await audit.recordDurably({ action: 'session_expired', metadata: { reason: 'signed out' } })
    ctx.status = 204
  })

  return router
}
