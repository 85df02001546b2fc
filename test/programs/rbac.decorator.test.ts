// The programs of the design that need no server, as they are written there, with what they promise.
import {
  createAuthorizer,
  createGuards,
  currentAccess,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  PermissionDeniedError,
  runWithAccess,
  type PermissionName,
} from '@countersign/rbac-core'
import { expect, test } from 'vitest'

const permissions = definePermissions({
  document: ['read', 'create', 'update', 'delete', 'publish'],
  user: ['read', 'manage'],
})
type Permission = PermissionName<typeof permissions>

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

test('the catalog lists its names', () => {
  const names: readonly Permission[] = permissions.names
  expect(names).toEqual([
    'document:read',
    'document:create',
    'document:update',
    'document:delete',
    'document:publish',
    'user:read',
    'user:manage',
  ])
})

test('an access answers for its roles', () => {
  expect(access.can('document:read')).toBe(true)
  expect(access.canAny(['user:manage', 'document:update'])).toBe(true)
  expect(access.canAll(['user:manage', 'document:update'])).toBe(false)
  expect(access.hasRole('viewer')).toBe(true)
  expect(access.explain('document:delete')).toMatchObject({
    allowed: false,
    permission: 'document:delete',
    reason: 'not-granted',
    grantedBy: [],
    wouldBeGrantedBy: ['admin'],
  })
  expect(() => {
    access.assert('document:delete')
  }).toThrow(PermissionDeniedError)
  expect(policy.accessFor({ id: 'u3', roles: ['retired'] }).can('document:read')).toBe(false)
})

test('a scoped role holds in its scope only', () => {
  const scoped = policy.accessFor({ id: 'u2', roles: ['viewer', { role: 'editor', scope: 'team:7' }] })
  expect(scoped.can('document:update', { scope: 'team:7' })).toBe(true)
  expect(scoped.can('document:update', { scope: 'team:8' })).toBe(false)
  expect(scoped.can('document:update')).toBe(false)
})

test('an authorizer resolves a subject from its store', async () => {
  const store = memoryGrantStore({ policy, assignments: { u1: ['editor'] } })
  const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
  expect((await authorizer.accessFor('u1')).can('document:read')).toBe(true)
  expect((await authorizer.accessFor('u1', { freshness: 'now' })).can('document:delete')).toBe(false)
  expect((await authorizer.accessFor('unknown')).can('document:read')).toBe(false)
  await authorizer.close()
})

test('a guard stands before a method or a function', async () => {
  const { requirePermission, requireRole, requireAnyPermission, requireAllPermissions } = createGuards(permissions)
  class Documents {
    @requirePermission('document:update')
    rename(id: string, title: string) {
      return { id, title }
    }
  }
  const publish = requirePermission('document:publish').wrap(async (id: string) => id)

  expect(requirePermission('document:publish').allows(access)).toBe(false)
  expect(requireRole('viewer').allows(access)).toBe(true)
  expect(requireAnyPermission(['document:publish', 'document:read']).allows(access)).toBe(true)
  expect(requireAllPermissions(['document:publish', 'document:read']).allows(access)).toBe(false)
  expect(runWithAccess(access, () => new Documents().rename('1', 'x'))).toEqual({ id: '1', title: 'x' })
  expect(runWithAccess(access, () => currentAccess())).toBe(access)
  expect(() => new Documents().rename('1', 'x')).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }) as Error)
  await expect(runWithAccess(access, () => publish('1'))).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
})
