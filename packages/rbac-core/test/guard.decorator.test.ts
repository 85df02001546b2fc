import {
  catalogOf,
  createGuards,
  currentAccess,
  definePermissions,
  definePolicy,
  runWithAccess,
  type Access,
  type Guard,
  type RoleName,
} from '@countersign/rbac-core'
import { describe, expect, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'update', 'publish'], user: ['manage'] })
const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:update'] },
    guest: { permissions: ['document:read'] },
  },
})
type Role = RoleName<typeof policy>
const as = (...roles: (Role | { role: Role; scope: string })[]): Access => policy.accessFor({ id: 'u1', roles })
const editor = as('editor')
const viewer = as('viewer')
const { requireAccess, requireAllPermissions, requireAnyPermission, requirePermission, requireRole } =
  createGuards(permissions)

const denied = expect.objectContaining({ code: 'PERMISSION_DENIED' }) as Error
const unauthenticated = expect.objectContaining({ code: 'UNAUTHENTICATED' }) as Error

describe('a guarded class', () => {
  let ran: string[] = []

  class Documents {
    readonly owner = 'me'

    @requirePermission('document:update')
    rename(id: string, title = 'untitled'): string {
      ran.push('rename')
      return `${this.owner} ${id} ${title}`
    }

    @requirePermission('document:update')
    async save(id: string): Promise<string> {
      ran.push('save')
      await Promise.resolve()
      return `${this.owner} ${id} ${currentAccess()?.subjectId}`
    }

    @requirePermission('document:update')
    get secret(): string {
      ran.push('secret')
      return this.owner
    }

    @requirePermission('document:update')
    static create(id: string): string {
      ran.push('create')
      return `${this.name} ${id}`
    }

    @requirePermission('document:update')
    *pages(count: number): Generator<number> {
      ran.push('pages')
      for (let page = 0; page < count; page++) yield page
    }

    @requirePermission('document:read')
    @requirePermission('document:update')
    async twice(): Promise<string> {
      ran.push('twice')
      return this.owner
    }

    @requirePermission('document:read')
    identity<Value>(value: Value): Value {
      return value
    }

    @requirePermission('document:update', { scope: (team: string) => `team:${team}` })
    scoped(team: string): string {
      return team
    }

    readonly team = '7'

    @requirePermission('document:update', {
      scope(this: Documents) {
        return `team:${this.team}`
      },
    })
    get ofTeam(): string {
      return this.team
    }
  }

  const documents = new Documents()
  const everything: [string, () => unknown][] = [
    ['method', () => documents.rename('1')],
    ['async method', () => documents.save('1')],
    ['getter', () => documents.secret],
    ['static method', () => Documents.create('1')],
    ['generator method', () => [...documents.pages(2)]],
    ['method with two guards', () => documents.twice()],
  ]
  const results: Record<string, unknown> = {
    method: 'me 1 untitled',
    'async method': 'me 1 u1',
    getter: 'me',
    'static method': 'Documents 1',
    'generator method': [0, 1],
    'method with two guards': 'me',
  }

  test.each(everything)('runs its %s, with its own this, for a subject with the permission', async (what, call) => {
    expect(await runWithAccess(editor, call)).toEqual(results[what])
  })

  test.each(everything)(
    'denies its %s to a subject without the permission, and runs nothing of it',
    async (_what, call) => {
      ran = []
      await expect(runWithAccess(viewer, async () => call())).rejects.toThrow(denied)
      await expect(runWithAccess(undefined, async () => call())).rejects.toThrow(unauthenticated)
      await expect((async () => call())()).rejects.toThrow(unauthenticated)
      expect(ran).toEqual([])
    },
  )

  test('rejects from an async method, never throws from the call', async () => {
    for (const call of [() => documents.save('1'), () => documents.twice()]) {
      const promise = runWithAccess(viewer, call)
      await expect(promise).rejects.toThrow(denied)
    }
  })

  test('keeps the name and the length of its methods', () => {
    expect(documents.rename.name).toBe('rename')
    expect(documents.rename.length).toBe(1)
    expect(documents.save.length).toBe(1)
    expect(Documents.create.name).toBe('create')
  })

  test('keeps the types of a generic method', () => {
    const value: { a: 1 } = runWithAccess(viewer, () => documents.identity({ a: 1 } as const))
    expect(value).toEqual({ a: 1 })
  })

  test('takes the scope from the arguments of the call', () => {
    const teamEditor = as({ role: 'editor', scope: 'team:7' })
    expect(runWithAccess(teamEditor, () => documents.scoped('7'))).toBe('7')
    expect(() => runWithAccess(teamEditor, () => documents.scoped('8'))).toThrow(denied)
    expect(runWithAccess(editor, () => documents.scoped('8'))).toBe('8')
  })

  test('takes the scope from the object whose method is called', () => {
    expect(runWithAccess(as({ role: 'editor', scope: 'team:7' }), () => documents.ofTeam)).toBe('7')
    expect(() => runWithAccess(as({ role: 'editor', scope: 'team:8' }), () => documents.ofTeam)).toThrow(denied)
  })

  test('leaves methods as hidden from enumeration as they were', () => {
    expect(Object.keys(Documents.prototype)).toEqual([])
    expect(Object.getOwnPropertyDescriptor(Documents.prototype, 'rename')).toMatchObject({
      enumerable: false,
      writable: true,
      configurable: true,
    })
  })
})

test('what is no method or getter cannot be decorated', () => {
  const guard = requirePermission('document:read') as unknown as (...args: unknown[]) => unknown
  const refused = expect.objectContaining({ code: 'INVALID_DEFINITION' }) as Error
  expect(() => guard(undefined, { kind: 'field', name: 'a' })).toThrow(refused)
  expect(() => guard(class A {}, { kind: 'class', name: 'A' })).toThrow(refused)
  expect(() => guard({}, 'field', undefined)).toThrow(refused)
  expect(() => guard({}, 'field', { value: 1 })).toThrow(refused)
  expect(() => requirePermission('document:read').wrap('no function' as never)).toThrow(refused)
})

describe('wrap', () => {
  test('guards a function and keeps its this, name, length and result', () => {
    const guarded = requirePermission('document:update').wrap(function rename(this: { by: string }, id: string) {
      return `${this.by} ${id}`
    })
    expect(runWithAccess(editor, () => guarded.call({ by: 'me' }, '1'))).toBe('me 1')
    expect(guarded.name).toBe('rename')
    expect(guarded.length).toBe(1)
    expect(() => guarded.call({ by: 'me' }, '1')).toThrow(unauthenticated)
  })

  test('rejects where an async function would', async () => {
    const guarded = requirePermission('document:update').wrap(async (id: string) => id)
    await expect(runWithAccess(viewer, () => guarded('1'))).rejects.toThrow(denied)
    await expect(runWithAccess(editor, () => guarded('1'))).resolves.toBe('1')
  })

  test.each([
    [
      'throws',
      (): string => {
        throw new Error('boom')
      },
    ],
    ['gives no string', (): string => undefined as never],
  ])('denies when the scope function %s, and keeps the cause', (_what, scope) => {
    const guarded = requirePermission('document:read', { scope }).wrap(() => 'reached')
    expect(() => runWithAccess(editor, guarded)).toThrow(
      expect.objectContaining({
        code: 'PERMISSION_DENIED',
        decision: expect.objectContaining({ reason: 'scope-failed', subjectId: 'u1' }) as unknown,
        cause: expect.any(Error) as unknown,
      }),
    )
  })

  test('asks for no scope when nobody is there', () => {
    let asked = 0
    const guarded = requirePermission('document:read', { scope: () => `${asked++}` }).wrap(() => 'reached')
    expect(() => guarded()).toThrow(unauthenticated)
    expect(asked).toBe(0)
  })
})

describe('what guards require', () => {
  const guest = as('viewer', 'guest')
  const scoped = as({ role: 'editor', scope: 'team:7' })
  const off = policy.accessFor({ id: 'u2', roles: ['editor'], isActive: false })
  const root = policy.accessFor({ id: 'root', roles: ['guest'], isSuperuser: true })
  const rootOff = policy.accessFor({ id: 'root', roles: [], isSuperuser: true, isActive: false })
  const notGuest = { not: { role: 'guest' } } as const
  test.each<[Guard, string, Access[], Access[]]>([
    [requirePermission('document:update'), 'document:update', [editor, root], [viewer, scoped, off, rootOff]],
    [
      requireAnyPermission(['user:manage', 'document:update']),
      'any of (user:manage, document:update)',
      [editor, root],
      [viewer, off],
    ],
    [
      requireAllPermissions(['document:read', 'document:update']),
      'all of (document:read, document:update)',
      [editor, root],
      [viewer, off],
    ],
    [requireRole('viewer'), 'role viewer', [viewer, editor, root], [scoped, off, as(), rootOff]],
    [requireRole('constructor'), 'role constructor', [root], [editor]],
    [requireAccess(notGuest), 'not (role guest)', [viewer, as(), root], [guest, off, rootOff]],
    [requireAccess({ not: notGuest }), 'not (not (role guest))', [guest], [viewer, off, rootOff]],
    [
      requireAccess({ allOf: [{ anyOf: ['document:update', 'document:read'] }, notGuest] }),
      'all of (any of (document:update, document:read), not (role guest))',
      [viewer, editor, root],
      [guest, as(), off],
    ],
    [requirePermission('document:update', { scope: 'team:7' }), 'document:update', [editor, scoped], [viewer]],
    [requireRole('editor', { scope: 'team:7' }), 'role editor', [editor, scoped], [viewer]],
    [requirePermission('document:update', { scope: 'team:8' }), 'document:update', [editor], [scoped]],
    [requirePermission('document:update', { scope: () => 'team:7' }), 'document:update', [editor], [scoped]],
  ])('%#: %o', (guard, text, allowed, refused) => {
    expect(guard.requires).toBe(text)
    for (const access of allowed) expect(guard.allows(access)).toBe(true)
    for (const access of refused) expect(guard.allows(access)).toBe(false)
  })

  test('allows takes the scope in question', () => {
    const guard = requirePermission('document:update')
    expect(guard.allows(scoped, { scope: 'team:7' })).toBe(true)
    expect(guard.allows(scoped, { scope: 'team:8' })).toBe(false)
  })

  test.each([
    ['an unknown permission', () => requirePermission('document:reed' as never), 'UNKNOWN_PERMISSION'],
    ['a wildcard', () => requirePermission('document:*' as never), 'UNKNOWN_PERMISSION'],
    ['no permission of any', () => requireAnyPermission([]), 'INVALID_DEFINITION'],
    ['no permission of all', () => requireAllPermissions([]), 'INVALID_DEFINITION'],
    ['an empty part inside', () => requireAccess({ allOf: ['document:read', { anyOf: [] }] }), 'INVALID_DEFINITION'],
    ['an unknown permission under not', () => requireAccess({ not: 'x:y' as never }), 'UNKNOWN_PERMISSION'],
    ['a role without a name', () => requireRole(''), 'INVALID_DEFINITION'],
    ['a scope that is a number', () => requirePermission('document:read', { scope: 7 as never }), 'INVALID_DEFINITION'],
    ['nothing', () => requireAccess(undefined as never), 'INVALID_DEFINITION'],
    ['an empty object', () => requireAccess({} as never), 'INVALID_DEFINITION'],
    ['two things in one', () => requireAccess({ role: 'a', not: 'document:read' } as never), 'INVALID_DEFINITION'],
  ])('a guard that requires %s is refused where it is declared', (_what, declare, code) => {
    expect(declare).toThrow(expect.objectContaining({ code }))
  })
})

test('an explanation of a guard tells of each permission, and what each role lacks', () => {
  const guard = requireAccess({ allOf: ['document:update', 'document:read', 'user:manage'] })
  const both = as('guest', 'editor', { role: 'viewer', scope: 'team:7' })
  expect(guard.explain(both)).toMatchObject({
    allowed: false,
    permission: 'all of (document:update, document:read, user:manage)',
    reason: 'not-granted',
    subjectId: 'u1',
    grantedBy: ['editor', 'guest'],
    permissions: [
      { permission: 'document:update', allowed: true },
      { permission: 'document:read', allowed: true },
      { permission: 'user:manage', allowed: false, wouldBeGrantedBy: [] },
    ],
    roles: [
      { role: 'editor', lacks: ['user:manage'] },
      { role: 'guest', lacks: ['document:update', 'user:manage'] },
    ],
  })
  expect(guard.explain(both, { scope: 'team:7' }).roles.map(({ role }) => role)).toEqual(['editor', 'guest', 'viewer'])
  expect(requirePermission('document:update').explain(editor)).toMatchObject({ allowed: true, reason: 'granted' })
})

describe('another catalog', () => {
  const older = catalogOf(['user:manage', 'document:publish', 'document:update', 'document:read'])
  const olderPolicy = definePolicy(older, { roles: { publisher: { permissions: ['document:publish'] } } })
  const olderAccess = olderPolicy.accessFor({ id: 'u', roles: ['publisher'] })

  test('a guard asks an access of another catalog by name, never by index', () => {
    for (const name of permissions.names) {
      expect(`${name} ${requirePermission(name).allows(olderAccess)}`).toBe(`${name} ${name === 'document:publish'}`)
    }
  })

  test('a permission that the catalog of the access does not have is denied', () => {
    const smaller = catalogOf(['user:manage'])
    const all = definePolicy(smaller, { roles: { all: { permissions: ['*'] } } }).accessFor({ id: 'u', roles: ['all'] })
    expect(requirePermission('user:manage').allows(all)).toBe(true)
    expect(requirePermission('document:read').allows(all)).toBe(false)
    expect(() => requirePermission('document:read').enforce(all)).toThrow(denied)
  })
})

test('the access of the context stays with what it started, beside others', async () => {
  const read = requirePermission('document:read').wrap(async () => {
    await new Promise(resolve => setTimeout(resolve, 1))
    return currentAccess()?.subjectId
  })
  const people = Array.from({ length: 50 }, (_, index) => policy.accessFor({ id: `u${index}`, roles: ['viewer'] }))
  const seen = await Promise.all(people.map(access => runWithAccess(access, () => read())))
  expect(seen).toEqual(people.map(access => access.subjectId))
  expect(currentAccess()).toBeUndefined()
})

test('an inner access hides the outer one, and so does an inner nothing', () => {
  runWithAccess(editor, () => {
    runWithAccess(viewer, () => expect(currentAccess()).toBe(viewer))
    runWithAccess(undefined, () => expect(currentAccess()).toBeUndefined())
    expect(currentAccess()).toBe(editor)
  })
})
