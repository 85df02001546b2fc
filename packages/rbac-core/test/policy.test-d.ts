import {
  createAuthorizer,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  type Access,
  type GrantName,
  type PermissionName,
  type RoleName,
} from '@countersign/rbac-core'
import { assertType, expectTypeOf, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'publish'], user: ['manage'] })
type Permission = PermissionName<typeof permissions>

const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:*', '*'] },
    closed: { isActive: false },
  },
  separationOfDuty: [{ name: 'x', kind: 'static', roles: ['viewer', 'editor'], atMost: 1 }],
})
const access = policy.accessFor({ id: 'u', roles: ['viewer', { role: 'editor', scope: 'a' }], activeRoles: ['viewer'] })

test('a catalog carries its names', () => {
  expectTypeOf<Permission>().toEqualTypeOf<'document:read' | 'document:publish' | 'user:manage'>()
  expectTypeOf(permissions.names).toEqualTypeOf<readonly Permission[]>()
  expectTypeOf<GrantName<Permission>>().toEqualTypeOf<Permission | '*' | 'document:*' | 'user:*'>()
  expectTypeOf<RoleName<typeof policy>>().toEqualTypeOf<'viewer' | 'editor' | 'closed'>()
  expectTypeOf(policy.rolesWith('user:manage')).toEqualTypeOf<readonly ('viewer' | 'editor' | 'closed')[]>()
  expectTypeOf(policy.permissionsOf('editor')).toEqualTypeOf<readonly Permission[]>()
})

test('names in a policy are checked', () => {
  // @ts-expect-error a misspelt permission
  definePolicy(permissions, { roles: { a: { permissions: ['document:raed'] } } })
  // @ts-expect-error a wildcard of a resource that does not exist
  definePolicy(permissions, { roles: { a: { permissions: ['report:*'] } } })
  // @ts-expect-error a wildcard over actions
  definePolicy(permissions, { roles: { a: { permissions: ['*:read'] } } })
  // @ts-expect-error a misspelt inherited role
  definePolicy(permissions, { roles: { viewer: {}, a: { inherits: ['veiwer'] } } })
  // @ts-expect-error a key that is none
  definePolicy(permissions, { roles: { a: { permission: ['document:read'] } } })
  definePolicy(permissions, {
    roles: { a: {}, b: {} },
    // @ts-expect-error a misspelt role in a rule
    separationOfDuty: [{ name: 'x', kind: 'static', roles: ['a', 'c'], atMost: 1 }],
  })
  definePolicy(permissions, {
    roles: { a: {}, b: {} },
    // @ts-expect-error a kind of rule that does not exist
    separationOfDuty: [{ name: 'x', kind: 'always', roles: ['a', 'b'], atMost: 1 }],
  })
})

test('names in questions are checked', () => {
  // @ts-expect-error a misspelt permission
  access.can('documnet:read')
  // @ts-expect-error a wildcard can be granted and not asked for
  access.can('document:*')
  // @ts-expect-error a misspelt permission in a list
  access.canAny(['document:read', 'document:raed'])
  // @ts-expect-error a misspelt permission
  access.assert('document:raed')
  // @ts-expect-error a misspelt permission
  access.explain('document:raed')
  // @ts-expect-error a misspelt permission
  access.scopesWith('document:raed')
  // @ts-expect-error a misspelt role
  policy.accessFor({ id: 'u', roles: ['editr'] })
  // @ts-expect-error a misspelt scoped role
  policy.accessFor({ id: 'u', roles: [{ role: 'editr', scope: 'a' }] })
  // @ts-expect-error a misspelt role in use
  policy.accessFor({ id: 'u', roles: [], activeRoles: ['editr'] })
  // @ts-expect-error a misspelt role
  policy.permissionsOf('editr')
  // @ts-expect-error a scope is not an option by itself
  access.can('document:read', 'team:7')
})

test('scopes are told by a union that must be looked at', () => {
  const found = access.scopesWith('document:read')
  // @ts-expect-error the scopes are there only when the right does not hold everywhere
  assertType(found.scopes)
  if (!found.everywhere) expectTypeOf(found.scopes).toEqualTypeOf<readonly string[]>()
})

test('an access of one catalog can be passed where any access is taken', () => {
  assertType<Access>(access)
})

test('options may be given as undefined', () => {
  policy.accessFor({ id: 'u', roles: [], isActive: undefined, isSuperuser: undefined, activeRoles: undefined })
  access.can('document:read', { scope: undefined })
  createAuthorizer({
    permissions,
    store: memoryGrantStore({ policy, assignments: undefined }),
    maxStalenessMs: 1000,
    cache: undefined,
    changes: undefined,
  })
})

test('roles in a memory store are checked', () => {
  memoryGrantStore({ policy, assignments: { u1: ['editor'], u2: { roles: [{ role: 'viewer', scope: 'a' }] } } })
  // @ts-expect-error a misspelt role
  memoryGrantStore({ policy, assignments: { u1: ['editr'] } })
  // @ts-expect-error a misspelt role
  memoryGrantStore({ policy }).setSubject('u1', ['editr'])
})

test('a promise of an access is not an answer', async () => {
  const authorizer = createAuthorizer({ permissions, store: memoryGrantStore({ policy }), maxStalenessMs: 1000 })
  expectTypeOf(await authorizer.accessFor('u1')).toEqualTypeOf<Access<Permission>>()
  // @ts-expect-error there is nothing on the authorizer that answers a permission
  assertType(authorizer.can)
  // @ts-expect-error an access must be awaited
  assertType(authorizer.accessFor('u1').can)
  // @ts-expect-error a misspelt permission
  await authorizer.explain('u1', 'document:raed')
})
