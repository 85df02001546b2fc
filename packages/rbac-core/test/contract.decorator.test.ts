import {
  createAuthorizer,
  createGuards,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  PermissionDeniedError,
  runWithAccess,
  UnauthenticatedError,
} from '@countersign/rbac-core'
import { expect, test } from 'vitest'

const permissions = definePermissions({
  document: ['read', 'create', 'update', 'delete', 'publish'],
  user: ['read', 'manage'],
})
const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:create', 'document:update'] },
    publisher: { inherits: ['viewer'], permissions: ['document:publish'] },
    admin: { permissions: ['document:*', 'user:*'] },
    retired: { permissions: ['*'], isActive: false },
  },
  separationOfDuty: [{ name: 'four-eyes', kind: 'static', roles: ['editor', 'publisher'], atMost: 1 }],
})
const access = policy.accessFor({ id: 'u1', roles: ['editor'] })
const { requirePermission } = createGuards(permissions)

class Documents {
  @requirePermission('document:update')
  rename(id: string, title: string): { id: string; title: string } {
    return { id, title }
  }
}

test('the program of the design runs as written', async () => {
  expect(access.can('document:read')).toBe(true)
  expect(access.canAny(['user:manage', 'document:update'])).toBe(true)
  expect(access.canAll(['user:manage', 'document:update'])).toBe(false)
  expect(access.hasRole('viewer')).toBe(true)
  expect(access.explain('document:delete')).toStrictEqual({
    allowed: false,
    permission: 'document:delete',
    reason: 'not-granted',
    grantedBy: [],
    wouldBeGrantedBy: ['admin'],
  })
  expect(() => access.assert('document:delete')).toThrow(PermissionDeniedError)
  const scoped = policy.accessFor({ id: 'u2', roles: ['viewer', { role: 'editor', scope: 'team:7' }] })
  expect(scoped.can('document:update', { scope: 'team:7' })).toBe(true)

  const store = memoryGrantStore({ policy, assignments: { u1: ['editor'] } })
  const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
  expect((await authorizer.accessFor('u1')).can('document:read')).toBe(true)
  expect((await authorizer.accessFor('u1', { freshness: 'now' })).can('document:read')).toBe(true)
  await authorizer.close()

  const publish = requirePermission('document:publish').wrap(async (id: string) => id)
  expect(requirePermission('document:publish').allows(access)).toBe(false)
  expect(runWithAccess(access, () => new Documents().rename('1', 'x'))).toEqual({ id: '1', title: 'x' })
  expect(() => new Documents().rename('1', 'x')).toThrow(UnauthenticatedError)
  await expect(runWithAccess(access, () => publish('1'))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
})
