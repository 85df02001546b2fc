import {
  definePermissions,
  definePolicy,
  PermissionDeniedError,
  RbacError,
  UnknownPermissionError,
  type RoleName,
  type Subject,
} from '@countersign/rbac-core'
import { describe, expect, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'create', 'update', 'delete'], user: ['manage'] })
const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:create', 'document:update'] },
    admin: { permissions: ['document:*', 'user:*'] },
    retired: { permissions: ['*'], isActive: false },
  },
})
type Who = Omit<Subject<RoleName<typeof policy>>, 'id'>

const access = (who: Who): ReturnType<typeof policy.accessFor> => policy.accessFor({ id: 'u1', ...who })

describe('who may do what', () => {
  const nothing = { roles: [] } satisfies Who
  const everything = permissions.names
  test.each<[string, Who, readonly string[]]>([
    ['nobody without a role', nothing, []],
    ['what the role lists', { roles: ['viewer'] }, ['document:read']],
    ['what the role inherits', { roles: ['editor'] }, ['document:read', 'document:create', 'document:update']],
    ['the union of several roles', { roles: ['viewer', 'admin'] }, everything],
    ['nothing by an inactive role', { roles: ['retired'] }, []],
    ['nothing by a role that does not exist', { roles: ['boss' as never] }, []],
    ['nothing for an inactive subject', { roles: ['admin'], isActive: false }, []],
    ['everything for a superuser', { roles: [], isSuperuser: true }, everything],
    ['nothing for an inactive superuser', { roles: ['admin'], isSuperuser: true, isActive: false }, []],
    ['nothing for a superuser by a flag that is a text', { roles: [], isSuperuser: 'false' as never }, []],
    ['nothing for an active subject by a flag that is a text', { roles: ['admin'], isActive: 'false' as never }, []],
    ['nothing for an active subject by a flag that is null', { roles: ['admin'], isActive: null as never }, []],
    ['nothing everywhere by a scoped role', { roles: [{ role: 'admin', scope: 'team:7' }] }, []],
  ])('%s', (_what, who, granted) => {
    const resolved = access(who)
    for (const name of permissions.names)
      expect(`${name} ${resolved.can(name)}`).toBe(`${name} ${granted.includes(name)}`)
  })
})

describe('several at once', () => {
  const editor = access({ roles: ['editor'] })
  test.each<[string, boolean, boolean]>([
    ['', false, false],
    ['document:read', true, true],
    ['user:manage', false, false],
    ['document:read user:manage', true, false],
    ['document:read document:update', true, true],
  ])('of %j: any %s, all %s', (list, any, all) => {
    const names = (list === '' ? [] : list.split(' ')) as never[]
    expect(editor.canAny(names)).toBe(any)
    expect(editor.canAll(names)).toBe(all)
  })

  test('a superuser who asks for nothing is denied too', () => {
    const root = access({ roles: [], isSuperuser: true })
    expect(root.canAny([])).toBe(false)
    expect(root.canAll([])).toBe(false)
  })
})

describe('names the catalog does not have', () => {
  test.each(['document:reed', 'document:*', '*', '', '__proto__', 'constructor', 'dосument:read'])(
    '%j is an error',
    name => {
      for (const who of [
        { roles: ['admin'] },
        { roles: [], isSuperuser: true },
        { roles: [], isActive: false },
      ] as const) {
        const resolved = access(who)
        expect(() => resolved.can(name as never)).toThrow(UnknownPermissionError)
        expect(() => resolved.canAny(['document:read', name as never])).toThrow(UnknownPermissionError)
        expect(() => resolved.canAll(['user:manage', name as never])).toThrow(UnknownPermissionError)
        expect(() => resolved.assert(name as never)).toThrow(UnknownPermissionError)
        expect(() => resolved.explain(name as never)).toThrow(UnknownPermissionError)
        expect(() => resolved.scopesWith(name as never)).toThrow(UnknownPermissionError)
      }
    },
  )
})

describe('scopes', () => {
  const mixed = access({
    roles: [
      'viewer',
      { role: 'editor', scope: 'team:7' },
      { role: 'admin', scope: 'team:8' },
      { role: 'viewer', scope: 'team:9' },
    ],
  })
  test.each<[string, string | undefined, boolean]>([
    ['document:read', undefined, true],
    ['document:read', 'team:7', true],
    ['document:read', 'anywhere', true],
    ['document:update', undefined, false],
    ['document:update', 'team:7', true],
    ['document:update', 'team:8', true],
    ['document:update', 'team:9', false],
    ['document:delete', 'team:7', false],
    ['document:delete', 'team:8', true],
    ['document:delete', 'team:88', false],
    ['document:delete', 'TEAM:8', false],
    ['document:delete', 'team:', false],
    ['document:delete', '', false],
    ['document:delete', '__proto__', false],
    ['user:manage', 'team:*', false],
  ])('%s in %s: %s', (permission, scope, allowed) => {
    expect(mixed.can(permission as never, { scope })).toBe(allowed)
    expect(mixed.canAny([permission as never], { scope })).toBe(allowed)
    expect(mixed.canAll([permission as never], { scope })).toBe(allowed)
  })

  test('scopesWith tells the filter of a query', () => {
    expect(mixed.scopesWith('document:read')).toEqual({ everywhere: true })
    expect(mixed.scopesWith('document:update')).toEqual({ everywhere: false, scopes: ['team:7', 'team:8'] })
    expect(access({ roles: [] }).scopesWith('user:manage')).toEqual({ everywhere: false, scopes: [] })
    expect(access({ roles: [], isSuperuser: true }).scopesWith('user:manage')).toEqual({ everywhere: true })
    const off = access({ roles: [{ role: 'admin', scope: 'team:8' }], isActive: false })
    expect(off.scopesWith('user:manage')).toEqual({ everywhere: false, scopes: [] })
  })

  test('an inactive subject has nothing in a scope either', () => {
    const off = access({ roles: [{ role: 'admin', scope: 'team:8' }], isActive: false })
    expect(off.can('user:manage', { scope: 'team:8' })).toBe(false)
    expect(off.hasRole('admin', { scope: 'team:8' })).toBe(false)
  })
})

describe('roles', () => {
  test.each<[string, Who, string, boolean]>([
    ['held', { roles: ['editor'] }, 'editor', true],
    ['inherited', { roles: ['editor'] }, 'viewer', true],
    ['not held', { roles: ['viewer'] }, 'editor', false],
    ['held and inactive', { roles: ['retired'] }, 'retired', false],
    ['of an inactive subject', { roles: ['editor'], isActive: false }, 'editor', false],
    ['not held by a superuser', { roles: ['viewer'], isSuperuser: true }, 'editor', false],
    ['that does not exist', { roles: ['editor'] }, 'constructor', false],
    ['held in a scope only', { roles: [{ role: 'editor', scope: 'team:7' }] }, 'editor', false],
  ])('a role %s', (_what, who, role, has) => {
    expect(access(who).hasRole(role)).toBe(has)
  })

  test('a scoped role is had in its scope', () => {
    const scoped = access({ roles: [{ role: 'editor', scope: 'team:7' }] })
    expect(scoped.hasRole('viewer', { scope: 'team:7' })).toBe(true)
    expect(scoped.hasRole('viewer', { scope: 'team:8' })).toBe(false)
  })
})

describe('roles in use', () => {
  const who: Who = { roles: ['editor', { role: 'admin', scope: 'team:8' }] }
  test.each<[string, Who['activeRoles'], string, string | undefined, boolean]>([
    ['all of them without a choice', undefined, 'document:update', undefined, true],
    ['none', [], 'document:read', undefined, false],
    ['the one held', ['editor'], 'document:update', undefined, true],
    ['an inherited one, with its own rights only', ['viewer'], 'document:read', undefined, true],
    ['an inherited one, without the rights of the one held', ['viewer'], 'document:update', undefined, false],
    ['a scoped one, in its scope', ['admin'], 'user:manage', 'team:8', true],
    ['a scoped one, not everywhere', ['admin'], 'user:manage', undefined, false],
    ['one that is not held adds nothing', ['editor', 'retired'], 'user:manage', undefined, false],
  ])('%s', (_what, activeRoles, permission, scope, allowed) => {
    expect(access({ ...who, activeRoles }).can(permission as never, { scope })).toBe(allowed)
  })
})

describe('assert', () => {
  test('passes what is granted', () => {
    access({ roles: ['editor'] }).assert('document:update')
    access({ roles: [{ role: 'editor', scope: 'a' }] }).assert('document:update', { scope: 'a' })
  })

  test('throws an error that carries the decision as data', () => {
    const denied = (): void => access({ roles: ['editor'] }).assert('document:delete', { scope: 'team:7' })
    expect(denied).toThrow(PermissionDeniedError)
    expect(denied).toThrow(
      expect.objectContaining({
        name: 'PermissionDeniedError',
        code: 'PERMISSION_DENIED',
        decision: {
          allowed: false,
          permission: 'document:delete',
          reason: 'not-granted',
          subjectId: 'u1',
          scope: 'team:7',
          policyVersion: 0,
          grantedBy: [],
        },
      }),
    )
  })

  test('throws an error that another copy of the package recognises', () => {
    let thrown: unknown
    try {
      access({ roles: [] }).assert('document:read')
    } catch (error) {
      thrown = error
    }
    expect(RbacError.isInstance(thrown)).toBe(true)
    expect(PermissionDeniedError.isInstance(thrown)).toBe(true)
    expect(UnknownPermissionError.isInstance(thrown)).toBe(false)
    expect(PermissionDeniedError.isInstance(new Error('x'))).toBe(false)
    expect(PermissionDeniedError.isInstance({ code: 'PERMISSION_DENIED' })).toBe(false)
  })
})

test('what is granted, and the roles in effect, can be listed, in a scope or everywhere', () => {
  const mixed = access({ roles: ['viewer', { role: 'editor', scope: 'team:7' }] })
  expect(mixed.granted()).toEqual(['document:read'])
  expect(mixed.granted({ scope: 'team:7' })).toEqual(['document:read', 'document:create', 'document:update'])
  expect(mixed.roles()).toEqual(['viewer'])
  expect(mixed.roles({ scope: 'team:7' })).toEqual(['viewer', 'editor'])
  expect(access({ roles: ['viewer'], isSuperuser: true }).granted()).toEqual(permissions.names)
  expect(access({ roles: ['viewer'], isSuperuser: true }).roles()).toEqual(['viewer'])
  expect(access({ roles: ['admin'], isActive: false }).granted()).toEqual([])
})

test('an access in a log shows who it is of, and no policy', () => {
  expect(JSON.parse(JSON.stringify({ access: access({ roles: ['editor'] }) }))).toEqual({
    access: { subjectId: 'u1', isActive: true, isSuperuser: false, policyVersion: 0, stale: false },
  })
})

test('subjects with equal sets of roles share one bit set', () => {
  const one = access({ roles: ['viewer', 'editor'] }) as unknown as { rights: Uint32Array }
  const two = access({ roles: ['editor', 'viewer', 'viewer'] }) as unknown as { rights: Uint32Array }
  expect(one.rights).toBe(two.rights)
})
