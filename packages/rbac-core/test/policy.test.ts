import {
  catalogOf,
  compilePolicy,
  definePermissions,
  definePolicy,
  RoleCycleError,
  UnknownPermissionError,
  UnknownRoleError,
  type PolicyRecord,
  type RoleRecord,
} from '@countersign/rbac-core'
import { expect, test } from 'vitest'

const permissions = definePermissions({
  document: ['read', 'create', 'publish'],
  documents: ['read'],
  user: ['read', 'manage'],
})

const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:create'] },
    chief: { inherits: ['editor', 'publisher'] },
    publisher: { inherits: ['viewer'], permissions: ['document:publish'] },
    librarian: { permissions: ['document:*'] },
    owner: { permissions: ['*'] },
    retired: { permissions: ['*'], inherits: ['viewer'], isActive: false },
    heir: { inherits: ['retired'], permissions: ['user:read'] },
    empty: {},
  },
})

test.each([
  ['lists its own permission', 'viewer', ['document:read']],
  ['adds what it inherits', 'editor', ['document:read', 'document:create']],
  [
    'inherits over several roles, by two ways to one',
    'chief',
    ['document:read', 'document:create', 'document:publish'],
  ],
  [
    'takes a wildcard for all actions of that resource only',
    'librarian',
    ['document:read', 'document:create', 'document:publish'],
  ],
  ['takes * for everything', 'owner', permissions.names],
  ['grants nothing when it is inactive', 'retired', []],
  ['gets nothing from an inactive role, nor through it', 'heir', ['user:read']],
  ['may be empty', 'empty', []],
] as const)('a role %s', (_what, role, granted) => {
  expect(policy.permissionsOf(role)).toEqual(granted)
})

test.each([
  ['document:read', ['viewer', 'editor', 'chief', 'publisher', 'librarian', 'owner']],
  ['document:publish', ['chief', 'publisher', 'librarian', 'owner']],
  ['documents:read', ['owner']],
  ['user:read', ['owner', 'heir']],
] as const)('the roles with %s are found through inheritance and wildcards', (permission, roles) => {
  expect(policy.rolesWith(permission)).toEqual(roles)
})

test('the roles a role inherits are listed, itself excluded', () => {
  expect(policy.inheritedBy('chief')).toEqual(['viewer', 'editor', 'publisher'])
  expect(policy.inheritedBy('viewer')).toEqual([])
})

test('a question about a role or permission that does not exist is an error', () => {
  expect(() => policy.permissionsOf('nobody' as never)).toThrow(UnknownRoleError)
  expect(() => policy.inheritedBy('constructor' as never)).toThrow(UnknownRoleError)
  expect(() => policy.rolesWith('document:*' as never)).toThrow(UnknownPermissionError)
})

test('a definition that grants or inherits what does not exist is an error', () => {
  expect(() => definePolicy(permissions, { roles: { a: { permissions: ['document:raed' as never] } } })).toThrow(
    expect.objectContaining({ code: 'UNKNOWN_PERMISSION', permission: 'document:raed' }),
  )
  expect(() => definePolicy(permissions, { roles: { a: { permissions: ['doc*:read' as never] } } })).toThrow(
    UnknownPermissionError,
  )
  expect(() => definePolicy(permissions, { roles: { a: { permissions: ['*:read' as never] } } })).toThrow(
    UnknownPermissionError,
  )
  expect(() => definePolicy(permissions, { roles: { a: { inherits: ['b' as never] } } })).toThrow(
    expect.objectContaining({ code: 'UNKNOWN_ROLE', role: 'b' }),
  )
})

test('a misspelt part of a role is an error', () => {
  expect(() => definePolicy(permissions, { roles: { a: { permission: ['document:read'] } as never } })).toThrow(
    expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'roles.a.permission' }),
  )
  expect(() => definePolicy(permissions, { roles: { '': {} } })).toThrow(
    expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'roles' }),
  )
})

test('roles that inherit each other in a circle are an error that names the way', () => {
  const define = (): unknown =>
    definePolicy(permissions, {
      roles: { top: { inherits: ['a'] }, a: { inherits: ['b'] }, b: { inherits: ['c'] }, c: { inherits: ['a'] } },
    })
  expect(define).toThrow(RoleCycleError)
  expect(define).toThrow(expect.objectContaining({ code: 'ROLE_CYCLE', path: ['a', 'b', 'c', 'a'] }))
  expect(() => definePolicy(permissions, { roles: { self: { inherits: ['self'] } } })).toThrow(
    expect.objectContaining({ path: ['self', 'self'] }),
  )
})

test('a chain of 20,000 roles passes a permission from one end to the other', () => {
  const size = 20_000
  const roles: RoleRecord[] = Array.from({ length: size }, (_, index) => ({
    name: `r${index}`,
    permissions: index === size - 1 ? ['document:read'] : [],
    inherits: index === size - 1 ? [] : [`r${index + 1}`],
    isActive: true,
  }))
  const chain = compilePolicy(permissions, stored({ roles }))
  const access = chain.accessFor({ id: 'u', roles: ['r0'] })
  expect(access.can('document:read')).toBe(true)
  expect(access.can('document:create')).toBe(false)
  expect(access.explain('document:read').paths?.[0]).toHaveLength(size)
})

test('names that every object has are ordinary role names', () => {
  const odd = compilePolicy(
    permissions,
    stored({
      roles: [
        { name: '__proto__', permissions: ['document:read'], inherits: [], isActive: true },
        { name: 'constructor', permissions: [], inherits: ['__proto__'], isActive: true },
      ],
    }),
  )
  expect(odd.accessFor({ id: 'u', roles: ['constructor'] }).can('document:read')).toBe(true)
  expect(odd.accessFor({ id: 'u', roles: ['toString', 'hasOwnProperty'] }).can('document:read')).toBe(false)
  expect(policy.accessFor({ id: 'u', roles: ['constructor' as never] }).hasRole('constructor')).toBe(false)
})

test('a stored permission the catalog does not know is reported and never granted', () => {
  const old = compilePolicy(
    permissions,
    stored({
      roles: [
        { name: 'a', permissions: ['document:archive', 'report:*', 'document:read'], inherits: [], isActive: true },
      ],
    }),
  )
  expect(old.unknownPermissions).toEqual(['document:archive', 'report:*'])
  expect(old.permissionsOf('a')).toEqual(['document:read'])
})

test('a stored role that inherits one that does not exist gets nothing from it', () => {
  const roles = [{ name: 'a', permissions: ['document:read'], inherits: ['gone'], isActive: true }]
  expect(compilePolicy(permissions, stored({ roles })).permissionsOf('a')).toEqual(['document:read'])
})

test("a permission that is switched off is nobody's but a superuser's", () => {
  const roles = [{ name: 'a', permissions: ['*', 'document:read'], inherits: [], isActive: true }]
  const off = compilePolicy(permissions, stored({ roles, inactivePermissions: ['document:read'] }))
  expect(off.permissionsOf('a')).not.toContain('document:read')
  expect(off.rolesWith('document:read')).toEqual([])
  const access = off.accessFor({ id: 'u', roles: ['a'] })
  expect(access.can('document:read')).toBe(false)
  expect(access.explain('document:read').reason).toBe('inactive-permission')
  expect(off.accessFor({ id: 'u', roles: ['a'], isSuperuser: true }).can('document:read')).toBe(true)
})

test('a wildcard that is switched off grants nothing, and its permissions stay as they are', () => {
  const roles = [
    { name: 'wide', permissions: ['document:*'], inherits: [], isActive: true },
    { name: 'narrow', permissions: ['document:read'], inherits: [], isActive: true },
  ]
  const off = compilePolicy(permissions, stored({ roles, inactivePermissions: ['document:*'] }))
  expect(off.permissionsOf('wide')).toEqual([])
  expect(off.permissionsOf('narrow')).toEqual(['document:read'])
  expect(off.unknownPermissions).toEqual([])
})

test('bits beyond the first word are kept apart', () => {
  const many = catalogOf(Array.from({ length: 200 }, (_, index) => `r${index}:x`))
  for (const index of [0, 31, 32, 63, 64, 127, 199]) {
    const name = `r${index}:x`
    const one = compilePolicy(
      many,
      stored({ roles: [{ name: 'a', permissions: [name], inherits: [], isActive: true }] }),
    )
    expect(one.permissionsOf('a')).toEqual([name])
  }
})

function stored(record: Partial<PolicyRecord>): PolicyRecord {
  return { version: 1, roles: [], separationOfDuty: [], inactivePermissions: [], ...record }
}
