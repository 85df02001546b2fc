import fc from 'fast-check'
import type { Knex } from 'knex'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { compilePolicy, definePermissions } from '../../src/index.ts'
import { createRoleAdmin, objectionGrantStore, syncCatalog, type RoleAdmin } from '../../src/objection/index.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'

let database: TestDatabase
let knex: Knex
let admin: RoleAdmin<(typeof permissions.names)[number]>

beforeAll(async () => {
  database = await migratedDatabase()
  knex = database.knex
  admin = createRoleAdmin({ knex, permissions })
})

beforeEach(async () => {
  await knex.raw('truncate users, roles, permissions, separation_rules cascade')
  await syncCatalog(knex, permissions)
})

afterAll(async () => {
  await database.close()
})

describe('the review functions', () => {
  let ann: string
  let bob: string
  let root: string

  beforeEach(async () => {
    ann = await insertUser(knex)
    bob = await insertUser(knex)
    root = await insertUser(knex, { is_superuser: true })
    await admin.createRole({ name: 'viewer', description: 'Reads', permissions: ['document:read'] })
    await admin.createRole({ name: 'editor', permissions: ['document:update'], inherits: ['viewer'] })
    await admin.createRole({ name: 'owner', permissions: ['document:*'], isSystem: true })
  })

  test('list roles with what an administrator needs to change them', async () => {
    const roles = await admin.roles()
    expect(roles).toEqual([
      {
        name: 'editor',
        description: '',
        isActive: true,
        isSystem: false,
        permissions: ['document:update'],
        inherits: ['viewer'],
        updatedAt: expect.any(Date) as Date,
      },
      expect.objectContaining({ name: 'owner', isSystem: true, permissions: ['document:*'] }),
      expect.objectContaining({ name: 'viewer', description: 'Reads' }),
    ])
    await admin.revoke('editor', ['document:update'], { ifUpdatedAt: roles[0]?.updatedAt })
  })

  test('list the assignments of a user, of inactive roles too, but not the expired', async () => {
    await admin.assign(ann, 'viewer', { reason: 'ticket 42', grantedBy: root })
    await admin.assign(ann, 'editor', { scope: 'team:7' })
    await admin.assign(ann, 'owner', { expiresAt: new Date(Date.now() - 1) })
    await admin.deactivateRole('editor')
    expect(await admin.rolesOf(ann)).toEqual([
      expect.objectContaining({ userId: ann, role: 'editor', scope: 'team:7', grantedBy: null, expiresAt: null }),
      expect.objectContaining({ userId: ann, role: 'viewer', scope: null, grantedBy: root, reason: 'ticket 42' }),
    ])
    await expect(admin.rolesOf('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_USER' })
  })

  test('list who is assigned a role, and with inheritance who has it', async () => {
    await admin.assign(ann, 'viewer')
    await admin.assign(bob, 'editor', { scope: 'team:7' })
    expect(await admin.usersIn('viewer')).toMatchObject([{ userId: ann, role: 'viewer' }])
    const users = await admin.usersIn('viewer', { inherited: true })
    expect(new Set(users.map(row => `${row.userId} ${row.role}`))).toEqual(new Set([`${ann} viewer`, `${bob} editor`]))
    await admin.deactivateRole('editor')
    expect(await admin.usersIn('viewer', { inherited: true })).toMatchObject([{ userId: ann }])
    await expect(admin.usersIn('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_ROLE' })
  })

  test('list what a role grants and what a user may do and where', async () => {
    expect(await admin.permissionsOfRole('editor')).toEqual(['document:read', 'document:update'])
    await admin.assign(ann, 'viewer')
    await admin.assign(ann, 'editor', { scope: 'team:7' })
    await admin.assign(ann, 'editor', { scope: 'team:8' })
    expect(await admin.permissionsOfUser(ann)).toEqual([
      { permission: 'document:read', everywhere: true },
      { permission: 'document:update', everywhere: false, scopes: ['team:7', 'team:8'] },
    ])
    expect(await admin.permissionsOfUser(root)).toHaveLength(permissions.names.length)
    await expect(admin.permissionsOfUser('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_USER' })
    await expect(admin.permissionsOfRole('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_ROLE' })
  })

  test('list who has a permission, from what, and where', async () => {
    await admin.assign(ann, 'editor', { scope: 'team:7' })
    await admin.assign(ann, 'viewer', { scope: 'team:8' })
    await admin.assign(bob, 'owner')
    const holders = await admin.usersWith('document:read')
    expect(new Map(holders.map(({ userId, ...holder }) => [userId, holder]))).toEqual(
      new Map([
        [ann, { isSuperuser: false, everywhere: false, scopes: ['team:7', 'team:8'], roles: ['editor', 'viewer'] }],
        [bob, { isSuperuser: false, everywhere: true, scopes: [], roles: ['owner'] }],
        [root, { isSuperuser: true, everywhere: true, scopes: [], roles: [] }],
      ]),
    )
    const there = await admin.usersWith('document:read', { scope: 'team:8' })
    expect(there.find(holder => holder.userId === ann)).toMatchObject({ scopes: ['team:8'], roles: ['viewer'] })
    expect(await admin.usersWith('document:read', { scope: 'team:9' })).toHaveLength(2)
  })

  test('list who may grant a permission: its holders, the administrators and the superusers', async () => {
    const carl = await insertUser(knex)
    await admin.createRole({ name: 'staff', permissions: ['user:*'] })
    await admin.assign(ann, 'editor', { scope: 'team:7' })
    await admin.assign(bob, 'staff')
    await admin.assign(carl, 'viewer')
    const administered = createRoleAdmin({ knex, permissions, administrativePermission: 'user:manage' })
    const idsOf = async (holders: Promise<{ userId: string }[]>): Promise<Set<string>> =>
      new Set((await holders).map(holder => holder.userId))
    expect(await idsOf(admin.grantorsOf('document:update'))).toEqual(new Set([ann, root]))
    expect(await idsOf(administered.grantorsOf('document:update'))).toEqual(new Set([ann, bob, root]))
    expect(await idsOf(administered.grantorsOf('document:update', { scope: 'team:8' }))).toEqual(new Set([bob, root]))
    await knex('permissions').where({ name: 'user:manage' }).update({ is_active: false })
    expect(await idsOf(administered.grantorsOf('document:update'))).toEqual(new Set([ann, root]))
  })

  test('give pages of users', async () => {
    await admin.assign(ann, 'viewer', { scope: 'team:7' })
    await admin.assign(ann, 'viewer', { scope: 'team:8' })
    await admin.assign(bob, 'viewer')
    for (const list of [
      (page: object) => admin.usersWith('document:read', page),
      (page: object) => admin.usersIn('viewer', page),
    ]) {
      const all = [...new Set((await list({})).map(row => row.userId))]
      const first = await list({ limit: 1 })
      expect(new Set(first.map(row => row.userId))).toEqual(new Set(all.slice(0, 1)))
      const rest = await list({ after: all[0] })
      expect([...new Set(rest.map(row => row.userId))]).toEqual(all.slice(1))
    }
    await expect(admin.usersWith('document:read', { limit: 0 })).rejects.toMatchObject({ field: 'limit' })
  })

  test('leave out what only an inactive wildcard or an inactive permission gives', async () => {
    await admin.assign(ann, 'owner')
    await knex('permissions').where({ name: 'document:*' }).update({ is_active: false })
    expect(await admin.usersWith('document:publish')).toMatchObject([{ userId: root }])
    expect(await admin.permissionsOfUser(ann)).toEqual([])
    await admin.assign(bob, 'viewer')
    expect(await admin.permissionsOfUser(bob)).toEqual([{ permission: 'document:read', everywhere: true }])
    await knex('permissions').where({ name: 'document:read' }).update({ is_active: false })
    expect(await admin.usersWith('document:read')).toMatchObject([{ userId: root }])
    expect(await admin.permissionsOfUser(bob)).toEqual([])
  })

  test('refuse to ask for a wildcard or an unknown permission', async () => {
    for (const name of ['document:*', '*', 'documnet:read']) {
      await expect(admin.usersWith(name as 'document:read')).rejects.toMatchObject({ code: 'UNKNOWN_PERMISSION' })
    }
  })

  test("read in the caller's transaction", async () => {
    await knex.transaction(async transaction => {
      await admin.assign(ann, 'owner', { transaction })
      expect(await admin.rolesOf(ann, { transaction })).toHaveLength(1)
      expect(await admin.usersIn('owner', { transaction })).toHaveLength(1)
      expect(await admin.usersWith('document:publish', { transaction })).toHaveLength(2)
      expect(await admin.permissionsOfUser(ann, { transaction })).toHaveLength(5)
      expect(await admin.rolesOf(ann)).toHaveLength(0)
    })
  })
})

describe('usersWith, permissionsOfUser and the store', () => {
  const names = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5']
  const catalog = definePermissions({ a: ['x', 'y'], b: ['x'] })
  const grants = [...catalog.names, 'a:*', 'b:*', '*']

  interface World {
    roles: { permissions: string[]; inherits: number[]; isActive: boolean }[]
    inactivePermissions: string[]
    users: {
      isActive: boolean
      isSuperuser: boolean
      assignments: { role: number; scope: string | null; expired: boolean }[]
    }[]
  }

  const world: fc.Arbitrary<World> = fc.record({
    roles: fc.tuple(
      ...names.map((_name, index) =>
        fc.record({
          permissions: fc.uniqueArray(fc.constantFrom(...grants), { maxLength: 3 }),
          // Only earlier roles, so that there is no circle.
          inherits: index === 0 ? fc.constant<number[]>([]) : fc.uniqueArray(fc.nat(index - 1), { maxLength: 3 }),
          isActive: fc.boolean().map(value => value || index % 2 === 0),
        }),
      ),
    ),
    inactivePermissions: fc.uniqueArray(fc.constantFrom(...grants), { maxLength: 2 }),
    users: fc.array(
      fc.record({
        isActive: fc.nat(4).map(number => number > 0),
        isSuperuser: fc.nat(4).map(number => number === 0),
        assignments: fc.uniqueArray(
          fc.record({
            role: fc.nat(names.length - 1),
            scope: fc.constantFrom(null, 's1', 's2'),
            expired: fc.nat(4).map(number => number === 0),
          }),
          { maxLength: 4, selector: ({ role, scope }) => JSON.stringify([role, scope]) },
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  })

  /** The definition, read aloud: no set, no memory, no SQL. */
  function grantsPermission({ roles, inactivePermissions }: World, index: number, permission: string): boolean {
    const role = roles[index]
    if (!role?.isActive || inactivePermissions.includes(permission)) return false
    const [resource] = permission.split(':')
    const own = [permission, `${String(resource)}:*`, '*'].some(
      name => role.permissions.includes(name) && !inactivePermissions.includes(name),
    )
    return (
      own ||
      role.inherits.some(inherited =>
        grantsPermission({ roles, inactivePermissions, users: [] }, inherited, permission),
      )
    )
  }

  function expectedScopes(of: World, user: World['users'][number], permission: string): (string | null)[] {
    if (!user.isActive) return []
    if (user.isSuperuser) return [null]
    const scopes = user.assignments
      .filter(({ role, expired }) => !expired && grantsPermission(of, role, permission))
      .map(({ scope }) => scope)
    return scopes.includes(null) ? [null] : [...new Set(scopes)].sort()
  }

  async function build({ roles, inactivePermissions, users }: World): Promise<string[]> {
    await knex.raw('truncate users, roles, permissions cascade')
    await syncCatalog(knex, catalog)
    await knex('permissions').whereIn('name', inactivePermissions).update({ is_active: false })
    for (const [index, role] of roles.entries()) {
      await knex('roles').insert({ name: names[index], is_active: role.isActive })
      await knex.raw(
        'insert into role_permissions select r.id, p.id from roles r, permissions p where r.name = ? and p.name = any(?)',
        [names[index] ?? '', role.permissions],
      )
      await knex.raw(
        'insert into role_inherits select r.id, i.id from roles r, roles i where r.name = ? and i.name = any(?)',
        [names[index] ?? '', role.inherits.map(inherited => names[inherited] ?? '')],
      )
    }
    const ids: string[] = []
    for (const user of users) {
      const id = await insertUser(knex, { is_active: user.isActive, is_superuser: user.isSuperuser })
      ids.push(id)
      for (const { role, scope, expired } of user.assignments) {
        await knex.raw(
          `insert into user_roles (user_id, role_id, scope, expires_at)
           select ?, id, ?, now() + ?::interval from roles where name = ?`,
          [id, scope, expired ? '-1 second' : '1 hour', names[role] ?? ''],
        )
      }
    }
    return ids
  }

  test('agree with the definition on random roles, users and scopes', async () => {
    const review = createRoleAdmin({ knex, permissions: catalog })
    const store = objectionGrantStore({ knex })
    await fc.assert(
      fc.asyncProperty(world, async given => {
        const ids = await build(given)
        const policy = compilePolicy(catalog, await store.loadPolicy())
        for (const permission of catalog.names) {
          const holders = new Map((await review.usersWith(permission)).map(holder => [holder.userId, holder]))
          for (const [index, user] of given.users.entries()) {
            const id = ids[index] ?? ''
            const scopes = expectedScopes(given, user, permission)
            const holder = holders.get(id)
            expect(holder === undefined ? [] : holder.everywhere ? [null] : holder.scopes).toEqual(scopes)
            const held = (await review.permissionsOfUser(id)).find(entry => entry.permission === permission)
            expect(held === undefined ? [] : held.everywhere ? [null] : [...held.scopes].sort()).toEqual(scopes)
            const subject = await store.loadSubject(id)
            const access = policy.accessFor({ id, isActive: false, ...subject, roles: subject?.assignments ?? [] })
            for (const scope of [undefined, 's1', 's2', 's3']) {
              expect(access.can(permission, { scope })).toBe(
                scopes.includes(null) || (scope !== undefined && scopes.includes(scope)),
              )
              const there = scope === undefined ? undefined : await review.usersWith(permission, { scope })
              if (there) expect(there.some(entry => entry.userId === id)).toBe(access.can(permission, { scope }))
            }
          }
        }
      }),
      { numRuns: 25 },
    )
  })
})

describe('syncCatalog', () => {
  test('adds the catalog and its wildcards once, however many processes run it together', async () => {
    await knex.raw('truncate permissions cascade')
    const results = await Promise.all(Array.from({ length: 6 }, () => syncCatalog(knex, permissions)))
    const expected = ['*', 'document:*', 'user:*', ...permissions.names].sort()
    expect(results.flatMap(result => result.added).sort()).toEqual(expected)
    const rows = await knex('permissions').select<{ name: string; is_system: boolean }[]>('name', 'is_system')
    expect(rows.map(row => row.name).sort()).toEqual(expected)
    expect(
      rows
        .filter(row => row.is_system)
        .map(row => row.name)
        .sort(),
    ).toEqual(['*', 'document:*', 'user:*'])
  })

  test('neither deletes nor switches on a row, and reports those the code does not know', async () => {
    await admin.createRole({ name: 'old', permissions: ['document:publish', 'user:*'] })
    await knex('permissions').where({ name: 'document:read' }).update({ is_active: false })
    const smaller = definePermissions({ document: ['read', 'archive'] })
    const before = await objectionGrantStore({ knex }).loadVersion()
    const result = await syncCatalog(knex, smaller)
    expect(result.added).toEqual(['document:archive'])
    expect(result.unknown).toEqual([
      'document:create',
      'document:delete',
      'document:publish',
      'document:update',
      'user:*',
      'user:manage',
      'user:read',
    ])
    expect((await objectionGrantStore({ knex }).loadPolicy()).inactivePermissions).toEqual(['document:read'])
    expect(await objectionGrantStore({ knex }).loadVersion()).toBe(before + 1)
    await syncCatalog(knex, smaller)
    expect(await objectionGrantStore({ knex }).loadVersion()).toBe(before + 1)
    expect(compilePolicy(smaller, await objectionGrantStore({ knex }).loadPolicy()).permissionsOf('old')).toEqual([])
  })
})
