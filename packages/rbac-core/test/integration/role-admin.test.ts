import type { Knex } from 'knex'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRoleAdmin, objectionGrantStore, syncCatalog, type RoleAdmin } from '../../src/objection/index.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'

let database: TestDatabase
let knex: Knex
let admin: RoleAdmin<(typeof permissions.names)[number]>
let user: string

beforeAll(async () => {
  database = await migratedDatabase()
  knex = database.knex
})

beforeEach(async () => {
  await knex.raw('truncate users, roles, permissions, separation_rules cascade')
  await syncCatalog(knex, permissions)
  admin = createRoleAdmin({ knex, permissions, administrativePermission: 'user:manage' })
  user = await insertUser(knex)
  await admin.createRole({ name: 'viewer', permissions: ['document:read'] })
  await admin.createRole({ name: 'editor', permissions: ['document:update'], inherits: ['viewer'] })
  await admin.createRole({ name: 'publisher', permissions: ['document:publish'] })
})

afterAll(async () => {
  await database.close()
})

const store = (): ReturnType<typeof objectionGrantStore> => objectionGrantStore({ knex })

const storedRole = async (name: string): Promise<unknown> => {
  const { roles } = await store().loadPolicy()
  return roles.find(role => role.name === name)
}

const assigned = async (id = user): Promise<unknown> => (await store().loadSubject(id))?.assignments

const fourEyes = { name: 'four-eyes', kind: 'static', roles: ['editor', 'publisher'], atMost: 1 } as const

describe('roles', () => {
  test('are created with permissions, wildcards and inherited roles', async () => {
    await admin.createRole({ name: 'owner', permissions: ['document:*', '*'], inherits: ['editor', 'viewer'] })
    expect(await storedRole('owner')).toEqual({
      name: 'owner',
      isActive: true,
      permissions: ['*', 'document:*'],
      inherits: ['editor', 'viewer'],
    })
  })

  test('are renamed and keep their assignments', async () => {
    await admin.assign(user, 'viewer')
    await admin.renameRole('viewer', 'reader')
    expect(await assigned()).toEqual([{ role: 'reader' }])
  })

  test('are deleted with their assignments', async () => {
    await admin.assign(user, 'viewer')
    await admin.deleteRole('viewer')
    expect(await assigned()).toEqual([])
    expect(await storedRole('editor')).toMatchObject({ inherits: [] })
  })

  test('are cloned without their assignments', async () => {
    await admin.assign(user, 'editor')
    await admin.cloneRole('editor', 'copy')
    expect(await storedRole('copy')).toMatchObject({ permissions: ['document:update'], inherits: ['viewer'] })
    expect(await assigned()).toEqual([{ role: 'editor' }])
  })

  test('gain and lose permissions, the same one twice without an error', async () => {
    await admin.grant('viewer', ['document:create', 'document:read'])
    await admin.grant('viewer', ['document:create'])
    expect(await storedRole('viewer')).toMatchObject({ permissions: ['document:create', 'document:read'] })
    await admin.revoke('viewer', ['document:create'])
    await admin.revoke('viewer', ['document:create'])
    expect(await storedRole('viewer')).toMatchObject({ permissions: ['document:read'] })
  })

  test('that are inactive are left out of what a subject holds', async () => {
    await admin.assign(user, 'viewer')
    await admin.deactivateRole('viewer')
    expect(await assigned()).toEqual([])
    await admin.activateRole('viewer')
    expect(await assigned()).toEqual([{ role: 'viewer' }])
  })

  test('cannot inherit in a circle, and the error names the path', async () => {
    await admin.createRole({ name: 'chief', permissions: [], inherits: ['editor'] })
    await expect(admin.setInherits('viewer', ['chief'])).rejects.toMatchObject({
      code: 'ROLE_CYCLE',
      path: expect.arrayContaining(['viewer', 'chief', 'editor']) as unknown,
    })
    await expect(admin.setInherits('viewer', ['viewer'])).rejects.toMatchObject({ path: ['viewer', 'viewer'] })
    expect(await storedRole('viewer')).toMatchObject({ inherits: [] })
  })

  test('that belong to the system are neither deleted, renamed nor deactivated', async () => {
    await admin.createRole({ name: 'root', permissions: ['*'], isSystem: true })
    for (const attempt of [
      () => admin.deleteRole('root'),
      () => admin.renameRole('root', 'other'),
      () => admin.deactivateRole('root'),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: 'SYSTEM_ROLE', role: 'root' })
    }
  })

  test('report names that are taken, unknown or empty', async () => {
    await expect(admin.createRole({ name: 'viewer', permissions: [] })).rejects.toMatchObject({ code: 'ROLE_EXISTS' })
    await expect(admin.renameRole('editor', 'viewer')).rejects.toMatchObject({ code: 'ROLE_EXISTS' })
    await expect(admin.createRole({ name: ' ', permissions: [] })).rejects.toMatchObject({ code: 'INVALID_DEFINITION' })
    await expect(admin.deleteRole('nobody')).rejects.toMatchObject({ code: 'UNKNOWN_ROLE', role: 'nobody' })
    await expect(admin.createRole({ name: 'x', permissions: [], inherits: ['nobody'] })).rejects.toMatchObject({
      code: 'UNKNOWN_ROLE',
    })
    await expect(
      admin.createRole({ name: 'x', permissions: ['documnet:read' as 'document:read'] }),
    ).rejects.toMatchObject({ code: 'UNKNOWN_PERMISSION', permission: 'documnet:read' })
    expect(await storedRole('x')).toBeUndefined()
  })

  test('that somebody changed meanwhile are not overwritten', async () => {
    const read = async (): Promise<Date> => {
      const row = await knex('roles').where({ name: 'viewer' }).first<{ updated_at: Date }>('updated_at')
      return row.updated_at
    }
    const ifUpdatedAt = await read()
    await admin.grant('viewer', ['document:create'], { ifUpdatedAt })
    const updatedAt = await read()
    await expect(admin.revoke('viewer', ['document:read'], { ifUpdatedAt })).rejects.toMatchObject({
      code: 'ROLE_CHANGED',
      updatedAt,
    })
    await admin.describeRole('viewer', 'Reads', { ifUpdatedAt: updatedAt })
  })
})

describe('assignments', () => {
  test('carry scope, expiry, reason and grantor', async () => {
    const grantor = await insertUser(knex, { is_superuser: true })
    const expiresAt = new Date(Date.now() + 60_000)
    await admin.assign(user, 'viewer', { scope: 'team:7', expiresAt, reason: 'ticket 42', grantedBy: grantor })
    expect(await knex('user_roles').first()).toMatchObject({
      user_id: user,
      scope: 'team:7',
      expires_at: expiresAt,
      reason: 'ticket 42',
      granted_by: grantor,
    })
    const [assignment] = (await store().loadSubject(user))?.assignments ?? []
    expect(assignment).toMatchObject({ role: 'viewer', scope: 'team:7' })
    expect(assignment?.expiresInMs).toBeGreaterThan(50_000)
    expect(assignment?.expiresInMs).toBeLessThanOrEqual(60_000)
  })

  test('are replaced by a second one in the same scope, and removed in exactly the scope named', async () => {
    await admin.assign(user, 'viewer', { expiresAt: new Date(Date.now() + 1000) })
    await admin.assign(user, 'viewer')
    await admin.assign(user, 'viewer', { scope: 'team:7' })
    expect(await assigned()).toEqual([{ role: 'viewer', scope: 'team:7' }, { role: 'viewer' }])
    await admin.unassign(user, 'viewer')
    await admin.unassign(user, 'viewer')
    expect(await assigned()).toEqual([{ role: 'viewer', scope: 'team:7' }])
    await admin.unassign(user, 'viewer', { scope: 'team:7' })
    expect(await assigned()).toEqual([])
  })

  test('that have expired are left out by the clock of the database', async () => {
    await admin.assign(user, 'viewer', { expiresAt: new Date(Date.now() - 1) })
    expect(await assigned()).toEqual([])
    await knex('user_roles').update({ expires_at: 'infinity' })
    expect(await assigned()).toEqual([{ role: 'viewer' }])
  })

  test('of unknown users and roles, or with options that are wrong, are refused', async () => {
    for (const id of ['nobody', '', '00000000-0000-0000-0000-000000000000', user.toUpperCase()]) {
      await expect(admin.assign(id, 'viewer')).rejects.toMatchObject({ code: 'UNKNOWN_USER' })
    }
    await expect(admin.assign(user, 'nobody')).rejects.toMatchObject({ code: 'UNKNOWN_ROLE' })
    await expect(admin.assign(user, 'viewer', { scope: '' })).rejects.toMatchObject({ field: 'scope' })
    await expect(admin.assign(user, 'viewer', { expiresAt: new Date('x') })).rejects.toMatchObject({
      field: 'expiresAt',
    })
  })
})

describe('names from outside', () => {
  const odd = ['constructor', '__proto__', 'a$$b', `'; drop table roles; --`, 'Ünïcode ✓', ' viewer', '%', 'long']
  const wrong = ['', '  ', 'a\0b', 'two\nlines', 'too long']
  const lengths = new Map([
    ['long', 200],
    ['too long', 10_000],
  ])
  const named = (title: string): string => title.padEnd(lengths.get(title) ?? 0, 'x')

  test.each(odd)('that are odd are just names: %j', async title => {
    const name = named(title)
    await admin.createRole({ name, permissions: ['document:read'] })
    await admin.assign(user, name, { scope: name, reason: name })
    expect(await assigned()).toEqual([{ role: name, scope: name }])
    await admin.addSeparationRule({ name, kind: 'static', roles: [name, 'editor'], atMost: 1 })
    await expect(admin.assign(user, 'editor')).rejects.toMatchObject({ rule: name })
    await admin.removeSeparationRule(name)
    await admin.unassign(user, name, { scope: name })
    await admin.deleteRole(name)
    expect(await storedRole(name)).toBeUndefined()
  })

  test.each(wrong)('that cannot be stored are refused: %j', async title => {
    const name = named(title)
    const refusal = { code: 'INVALID_DEFINITION' }
    await expect(admin.createRole({ name, permissions: [] })).rejects.toMatchObject({ ...refusal, field: 'role.name' })
    await expect(admin.renameRole('viewer', name)).rejects.toMatchObject({ ...refusal, field: 'role.name' })
    await expect(admin.cloneRole('viewer', name)).rejects.toMatchObject({ ...refusal, field: 'role.name' })
    await expect(admin.assign(user, 'viewer', { scope: name })).rejects.toMatchObject({ ...refusal, field: 'scope' })
    await expect(admin.unassign(user, 'viewer', { scope: name })).rejects.toMatchObject({ ...refusal, field: 'scope' })
    await expect(admin.addSeparationRule({ ...fourEyes, name })).rejects.toMatchObject({
      ...refusal,
      field: 'rule.name',
    })
    await expect(admin.assign(user, name)).rejects.toMatchObject({ code: 'UNKNOWN_ROLE' })
    await expect(admin.grant('viewer', [name as 'document:read'])).rejects.toMatchObject({
      code: 'UNKNOWN_PERMISSION',
    })
    await expect(admin.assign(name, 'viewer')).rejects.toMatchObject({ code: 'UNKNOWN_USER' })
    expect(await store().loadSubject(name)).toBeUndefined()
  })

  test('with a NUL in a free text are refused', async () => {
    await expect(admin.assign(user, 'viewer', { reason: '\0' })).rejects.toMatchObject({ field: 'reason' })
    await expect(admin.describeRole('viewer', '\0')).rejects.toMatchObject({ field: 'role.description' })
  })
})

describe('every write', () => {
  test('returns the version that readers see after it', async () => {
    const before = await store().loadVersion()
    const token = await admin.assign(user, 'viewer')
    expect(token).toBe(before + 1)
    expect(await store().loadSubject(user)).toMatchObject({ version: token })
    expect(await store().loadPolicy()).toMatchObject({ version: token })
  })

  test("belongs to the caller's transaction", async () => {
    const before = await store().loadVersion()
    await expect(
      knex.transaction(async transaction => {
        await admin.createRole({ name: 'temporary', permissions: ['*'] }, { transaction })
        const token = await admin.assign(user, 'temporary', { transaction })
        expect(token).toBeGreaterThan(before)
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect(await storedRole('temporary')).toBeUndefined()
    expect(await store().loadVersion()).toBe(before)
  })

  test('waits for the others that the same transaction was asked for at once', async () => {
    await admin.addSeparationRule(fourEyes)
    await knex.transaction(async transaction => {
      const results = await Promise.allSettled([
        admin.assign(user, 'editor', { transaction }),
        admin.assign(user, 'publisher', { transaction }),
        admin.assign(user, 'viewer', { transaction }),
      ])
      expect(results.map(result => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    })
    expect(await assigned()).toEqual([{ role: 'editor' }, { role: 'viewer' }])
  })

  test('that is refused leaves nothing behind in a transaction that goes on and commits', async () => {
    await admin.addSeparationRule(fourEyes)
    await knex.transaction(async transaction => {
      await admin.assign(user, 'editor', { transaction })
      await expect(admin.assign(user, 'publisher', { transaction })).rejects.toMatchObject({
        code: 'SEPARATION_OF_DUTY',
      })
    })
    expect(await assigned()).toEqual([{ role: 'editor' }])
  })
})

describe('static separation of duty', () => {
  test('refuses an assignment and names rule, roles and subject', async () => {
    await admin.addSeparationRule(fourEyes)
    await admin.assign(user, 'editor')
    await expect(admin.assign(user, 'publisher', { scope: 'team:7' })).rejects.toMatchObject({
      code: 'SEPARATION_OF_DUTY',
      rule: 'four-eyes',
      kind: 'static',
      roles: ['editor', 'publisher'],
      subjectId: user,
    })
    await admin.unassign(user, 'editor')
    await admin.assign(user, 'publisher')
  })

  test('counts inherited roles', async () => {
    await admin.addSeparationRule(fourEyes)
    await admin.createRole({ name: 'chief', permissions: [], inherits: ['publisher'] })
    await admin.assign(user, 'chief')
    await expect(admin.assign(user, 'editor')).rejects.toMatchObject({ code: 'SEPARATION_OF_DUTY' })
  })

  test('refuses an inheritance that would break a rule for somebody', async () => {
    await admin.addSeparationRule(fourEyes)
    await admin.createRole({ name: 'chief', permissions: [], inherits: ['editor'] })
    await admin.setInherits('chief', ['editor', 'publisher'])
    await expect(admin.assign(user, 'chief')).rejects.toMatchObject({ code: 'SEPARATION_OF_DUTY' })
    await admin.setInherits('chief', ['editor'])
    await admin.assign(user, 'chief')
    await expect(admin.setInherits('chief', ['editor', 'publisher'])).rejects.toMatchObject({ subjectId: user })
    expect(await storedRole('chief')).toMatchObject({ inherits: ['editor'] })
  })

  test('refuses a rule that somebody breaks already', async () => {
    await admin.assign(user, 'editor')
    await admin.assign(user, 'publisher')
    await expect(admin.addSeparationRule(fourEyes)).rejects.toMatchObject({ subjectId: user })
    expect((await store().loadPolicy()).separationOfDuty).toEqual([])
    await admin.addSeparationRule({ ...fourEyes, kind: 'dynamic' })
    expect((await store().loadPolicy()).separationOfDuty).toEqual([{ ...fourEyes, kind: 'dynamic' }])
    await admin.removeSeparationRule('four-eyes')
    expect((await store().loadPolicy()).separationOfDuty).toEqual([])
  })

  test('counts inactive roles, for they can be activated, but no expired assignment', async () => {
    await admin.addSeparationRule(fourEyes)
    await admin.assign(user, 'editor', { expiresAt: new Date(Date.now() - 1) })
    await admin.assign(user, 'publisher')
    await admin.deactivateRole('publisher')
    await expect(admin.assign(user, 'editor')).rejects.toMatchObject({ code: 'SEPARATION_OF_DUTY' })
  })

  test('allows n of m', async () => {
    await admin.addSeparationRule({ name: 'two', kind: 'static', roles: ['viewer', 'editor', 'publisher'], atMost: 2 })
    await admin.assign(user, 'editor')
    await expect(admin.assign(user, 'publisher')).rejects.toMatchObject({ roles: ['editor', 'publisher', 'viewer'] })
    await admin.assign(user, 'viewer')
  })

  test.each([
    ['rule.name', { ...fourEyes, name: '' }],
    ['rule.kind', { ...fourEyes, kind: 'sometimes' as 'static' }],
    ['rule.atMost', { ...fourEyes, atMost: 0 }],
    ['rule.atMost', { ...fourEyes, atMost: 2 }],
    ['rule.atMost', { ...fourEyes, roles: ['editor', 'editor'] }],
  ])('names %s when a rule is wrong', async (field, rule) => {
    await expect(admin.addSeparationRule(rule)).rejects.toMatchObject({ code: 'INVALID_DEFINITION', field })
  })
})

describe('racing administrators', () => {
  test('cannot slip past a rule together, in transactions that overlap', async () => {
    await admin.addSeparationRule(fourEyes)
    for (let round = 0; round < 20; round += 1) {
      const someone = await insertUser(knex)
      const results = await Promise.allSettled([
        admin.assign(someone, 'editor'),
        admin.assign(someone, 'publisher'),
        admin.assign(someone, 'publisher', { scope: 'team:7' }),
        admin.assign(someone, 'editor', { scope: 'team:7' }),
      ])
      const held = (await assigned(someone)) as { role: string }[]
      expect(new Set(held.map(assignment => assignment.role)).size).toBe(1)
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'SEPARATION_OF_DUTY' })
      }
    }
  })

  test('cannot slip past a rule when one has not committed yet', async () => {
    await admin.addSeparationRule(fourEyes)
    const first = await knex.transaction()
    await admin.assign(user, 'editor', { transaction: first })
    const second = admin.assign(user, 'publisher')
    const outcome = second.then(
      () => 'assigned',
      (error: unknown) => (error as { code: string }).code,
    )
    expect(await Promise.race([outcome, knex.raw('select pg_sleep(0.1)').then(() => 'waiting')])).toBe('waiting')
    await first.commit()
    expect(await outcome).toBe('SEPARATION_OF_DUTY')
  })

  test('cannot slip past a rule from an older snapshot', async () => {
    await admin.addSeparationRule(fourEyes)
    const older = await knex.transaction({ isolationLevel: 'repeatable read' })
    await older('roles').first()
    await admin.assign(user, 'editor')
    await expect(admin.assign(user, 'publisher', { transaction: older })).rejects.toMatchObject({ code: '40001' })
    await older.rollback()
  })

  test.each([
    ['rule', () => admin.addSeparationRule({ ...fourEyes, name: 'late', roles: ['editor', 'chief'] })],
    ['inheritance', () => admin.setInherits('chief', ['publisher'])],
  ])('cannot add the %s that an assignment under way would break', async (_what, change) => {
    await admin.addSeparationRule(fourEyes)
    await admin.createRole({ name: 'chief', permissions: [] })
    await admin.assign(user, 'editor')
    const first = await knex.transaction()
    await admin.assign(user, 'chief', { transaction: first })
    const outcome = change().then(
      () => 'changed',
      (error: unknown) => (error as { code: string }).code,
    )
    expect(await Promise.race([outcome, knex.raw('select pg_sleep(0.1)').then(() => 'waiting')])).toBe('waiting')
    await first.commit()
    expect(await outcome).toBe('SEPARATION_OF_DUTY')
  })

  test('cannot close a circle together', async () => {
    for (let round = 0; round < 10; round += 1) {
      const results = await Promise.allSettled([
        admin.setInherits('viewer', ['publisher']),
        admin.setInherits('publisher', ['viewer']),
      ])
      expect(results.map(result => result.status).sort()).toEqual(['fulfilled', 'rejected'])
      await Promise.all([admin.setInherits('viewer', []), admin.setInherits('publisher', [])])
    }
  })

  test('in transactions over several users and rows do not deadlock', async () => {
    const users = [await insertUser(knex), await insertUser(knex), await insertUser(knex)]
    const edit = (order: readonly string[]): Promise<void> =>
      knex.transaction(async transaction => {
        for (const id of order) {
          await transaction('users').where({ id }).update({ last_login: new Date() })
          await admin.assign(id, 'viewer', { transaction })
        }
      })
    await Promise.all([...users.map(id => edit([id])), ...users.map(id => edit([id])), edit(users.slice(0, 1))])
    const flags = (id: string): Promise<void> =>
      knex.transaction(async transaction => {
        await transaction('users').where({ id }).update({ is_staff: true, is_superuser: true })
        await admin.assign(id, 'editor', { transaction })
      })
    await Promise.all([
      ...users.map(flags),
      knex.transaction(async transaction => {
        for (const id of users) await admin.assign(id, 'publisher', { transaction })
      }),
    ])
  })
})

describe('a grantor', () => {
  let grantor: string

  beforeEach(async () => {
    grantor = await insertUser(knex)
    await admin.assign(grantor, 'editor')
  })

  test('gives what they hold, by themselves or by inheritance', async () => {
    await admin.assign(user, 'viewer', { grantedBy: grantor })
    await admin.createRole({ name: 'own', permissions: ['document:update', 'document:read'] }, { grantedBy: grantor })
  })

  test('cannot give what they do not hold, in any of the ways there are', async () => {
    const options = { grantedBy: grantor }
    await admin.deactivateRole('publisher')
    const attempts = [
      () => admin.assign(user, 'publisher', options),
      () => admin.createRole({ name: 'x', permissions: ['document:publish'] }, options),
      () => admin.createRole({ name: 'x', permissions: [], inherits: ['publisher'] }, options),
      () => admin.grant('editor', ['document:publish'], options),
      () => admin.setInherits('viewer', ['publisher'], options),
      () => admin.cloneRole('publisher', 'x', options),
      () => admin.activateRole('publisher', options),
    ]
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toMatchObject({
        code: 'GRANT_NOT_HELD',
        grantedBy: grantor,
        permissions: ['document:publish'],
      })
    }
  })

  test('cannot give what only an expired assignment or an inactive role would give them', async () => {
    await admin.assign(grantor, 'publisher', { expiresAt: new Date(Date.now() - 1) })
    const give = (): Promise<number> => admin.assign(user, 'publisher', { grantedBy: grantor })
    await expect(give()).rejects.toMatchObject({ code: 'GRANT_NOT_HELD' })
    await admin.assign(grantor, 'publisher')
    await give()
    await admin.deactivateRole('publisher')
    await expect(give()).rejects.toMatchObject({ code: 'GRANT_NOT_HELD' })
    await admin.createRole({ name: 'chief', permissions: [], inherits: ['publisher'] })
    await admin.assign(grantor, 'chief')
    await expect(give()).rejects.toMatchObject({ code: 'GRANT_NOT_HELD' })
  })

  test('cannot make last, for others or themselves, what they hold for a time', async () => {
    const [soon, later] = [new Date(Date.now() + 60_000), new Date(Date.now() + 120_000)]
    await admin.assign(grantor, 'publisher', { expiresAt: soon })
    await admin.assign(user, 'publisher', { expiresAt: soon, grantedBy: grantor })
    const refusal = { code: 'GRANT_NOT_HELD', permissions: ['document:publish'] }
    for (const attempt of [
      () => admin.assign(user, 'publisher', { expiresAt: later, grantedBy: grantor }),
      () => admin.assign(grantor, 'publisher', { grantedBy: grantor }),
      () => admin.grant('viewer', ['document:publish'], { grantedBy: grantor }),
    ]) {
      await expect(attempt()).rejects.toMatchObject(refusal)
    }
    await admin.createRole({ name: 'staff', permissions: ['user:manage'] })
    await admin.assign(grantor, 'staff', { expiresAt: soon })
    await admin.assign(user, 'publisher', { grantedBy: grantor })
  })

  test('does not administer while the administrative permission is switched off', async () => {
    await admin.grant('editor', ['user:*'])
    await admin.assign(user, 'publisher', { grantedBy: grantor })
    await knex('permissions').where({ name: 'user:manage' }).update({ is_active: false })
    await expect(admin.assign(user, 'publisher', { grantedBy: grantor })).rejects.toMatchObject({
      code: 'GRANT_NOT_HELD',
    })
  })

  test('needs the wildcard to give the wildcard', async () => {
    await admin.grant(
      'editor',
      permissions.names.filter(name => name !== 'user:manage'),
    )
    await expect(admin.grant('viewer', ['document:*'], { grantedBy: grantor })).rejects.toMatchObject({
      permissions: ['document:*'],
    })
    await admin.grant('editor', ['document:*'])
    await admin.grant('viewer', ['document:*'], { grantedBy: grantor })
  })

  test('gives in a scope what they hold there or everywhere', async () => {
    await admin.assign(grantor, 'publisher', { scope: 'team:7' })
    await admin.assign(user, 'publisher', { scope: 'team:7', grantedBy: grantor })
    for (const scope of ['team:8', undefined]) {
      await expect(admin.assign(user, 'publisher', { scope, grantedBy: grantor })).rejects.toMatchObject({
        code: 'GRANT_NOT_HELD',
      })
    }
  })

  test('with the administrative permission, or an active superuser, gives everything', async () => {
    const superuser = await insertUser(knex, { is_superuser: true })
    await admin.assign(user, 'publisher', { grantedBy: superuser })
    await admin.grant('editor', ['user:manage'])
    await admin.assign(user, 'publisher', { grantedBy: grantor })
    await insertUser(knex, { is_superuser: true })
    for (const id of [superuser, grantor]) {
      await knex('users').where({ id }).update({ is_active: false })
      await expect(admin.assign(user, 'publisher', { grantedBy: id })).rejects.toMatchObject({ code: 'GRANT_NOT_HELD' })
    }
  })

  test('that does not exist gives nothing', async () => {
    for (const grantedBy of ['nobody', '00000000-0000-0000-0000-000000000000']) {
      await expect(admin.assign(user, 'viewer', { grantedBy })).rejects.toMatchObject({
        code: 'UNKNOWN_USER',
        userId: grantedBy,
      })
    }
  })
})

describe('the last active superuser', () => {
  let root: string

  beforeEach(async () => {
    root = await insertUser(knex, { is_superuser: true })
    await insertUser(knex, { is_superuser: true, is_active: false })
  })

  test('cannot be deleted, demoted or deactivated, but stays editable', async () => {
    const row = (): Knex.QueryBuilder => knex('users').where({ id: root })
    for (const attempt of [
      row().delete(),
      row().update({ is_superuser: false }),
      row().update({ is_active: false }),
      knex('users').update({ is_superuser: false }),
      knex('users').delete(),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: '23001', constraint: 'rbac_keep_superuser' })
    }
    await row().update({ first_name: 'Root' })
    await insertUser(knex, { is_superuser: true })
    await row().delete()
  })

  test('is kept when two superusers demote each other at the same time', async () => {
    const second = await insertUser(knex, { is_superuser: true })
    const first = await knex.transaction()
    await first('users').where({ id: root }).update({ is_superuser: false })
    const outcome = knex('users')
      .where({ id: second })
      .update({ is_superuser: false })
      .then(
        () => 'demoted',
        (error: unknown) => (error as { constraint: string }).constraint,
      )
    expect(await Promise.race([outcome, knex.raw('select pg_sleep(0.1)').then(() => 'waiting')])).toBe('waiting')
    await first.commit()
    expect(await outcome).toBe('rbac_keep_superuser')
  })
})
