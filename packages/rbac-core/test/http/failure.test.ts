import { definePermissions, definePolicy, runWithAccess } from '@countersign/rbac-core'
import { expressGuards } from '@countersign/rbac-core/express'
import { once } from 'node:events'
import { expect, test } from 'vitest'

test('a scope that cannot be told becomes a process warning where nobody listens, with its cause', async () => {
  const permissions = definePermissions({ document: ['read'] })
  const policy = definePolicy(permissions, { roles: { viewer: { permissions: ['document:read'] } } })
  const guard = expressGuards(permissions).requirePermission('document:read', {
    scope: () => {
      throw new Error('no such team')
    },
  })
  const response = { statusCode: 200, setHeader: () => undefined, end: () => undefined }
  const warned = once(process, 'warning')
  await runWithAccess(policy.accessFor({ id: 'vic', roles: ['viewer'] }), () =>
    guard({ method: 'GET', get: () => undefined }, response, () => expect.unreachable()),
  )
  expect(response.statusCode).toBe(403)
  expect(await warned).toEqual([
    expect.objectContaining({
      code: 'REQUEST_DENIED_BY_FAILURE',
      message: 'Denied: document:read (scope-failed): no such team',
    }),
  ])
})
