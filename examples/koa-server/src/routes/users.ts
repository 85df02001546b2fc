import { RbacError } from '@countersign/rbac-core'
import { koaGuards } from '@countersign/rbac-core/koa'
import Router from '@koa/router'
import { hashPassword } from '../password.ts'
import { permissions } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { sessionOf } from '../session.ts'
import type { System } from '../system.ts'
import { reader, text } from '../validation.ts'

const { requirePermission } = koaGuards(permissions)

const readNew = reader<{ username: string; email: string; password: string }>({
  type: 'object',
  properties: {
    username: { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,150}$' },
    email: { type: 'string', format: 'email', maxLength: 254 },
    password: text(15, 200),
  },
  required: ['username', 'email', 'password'],
  additionalProperties: false,
})
const readAssignment = reader<{ id: string; role: string }>({
  type: 'object',
  properties: { id: { type: 'string', format: 'uuid' }, role: text(1, 150) },
  required: ['id', 'role'],
})

const visible = ['id', 'username', 'email', 'is_active', 'date_joined']

/** Users and their roles. */
export function userRoutes({ knex, roles }: System): Router {
  const router = new Router({ prefix: '/api/v1/users' })

  router.get('/', requirePermission('user:read'), async ctx => {
    ctx.body = { users: await knex('users').orderBy('username').limit(100).select(visible) }
  })

  router.post('/', requirePermission('user:manage'), async ctx => {
    const { password, ...input } = readNew(ctx.request.body)
    const row = { ...input, password_hash: await hashPassword(password) }
    const [user] = await knex('users').insert(row).onConflict().ignore().returning<object[]>(visible)
    if (!user) throw new Problem(409, 'USER_EXISTS', 'The user name or the address is taken')
    ctx.status = 201
    ctx.body = user
  })

  router.put('/:id/roles/:role', requirePermission('user:manage'), async ctx => {
    const { id, role } = readAssignment(ctx.params)
    await explained(roles.assign(id, role, { grantedBy: sessionOf(ctx).userId }))
    ctx.status = 204
  })

  router.delete('/:id/roles/:role', requirePermission('user:manage'), async ctx => {
    const { id, role } = readAssignment(ctx.params)
    await explained(roles.unassign(id, role))
    ctx.status = 204
  })

  return router
}

/** How the client is told that roles forbid what it asked for. */
const refusals = new Map<string, readonly [status: number, title: string]>([
  ['UNKNOWN_USER', [404, 'There is no such user']],
  ['UNKNOWN_ROLE', [404, 'There is no such role']],
  ['SEPARATION_OF_DUTY', [409, 'The user holds a role that must not be held together with this one']],
  ['GRANT_NOT_HELD', [403, 'Nobody may grant what they do not hold']],
])

async function explained<T>(change: Promise<T>): Promise<T> {
  return change.catch((error: unknown) => {
    const refusal = RbacError.isInstance(error) ? refusals.get(error.code) : undefined
    throw refusal && RbacError.isInstance(error) ? new Problem(refusal[0], error.code, refusal[1]) : error
  })
}
