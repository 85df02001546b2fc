import knexOf, { type Knex } from 'knex'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createRoleAdmin, migrations, objectionGrantStore, syncCatalog } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import { emptyDatabase, insertUser, permissions, type TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

let database: TestDatabase
let knex: Knex

beforeEach(async () => {
  database = await emptyDatabase()
  knex = database.knex
})

afterEach(async () => {
  await database.close()
})

async function objectNames(): Promise<string[]> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'i', 'S')
     union select proname from pg_proc where pronamespace = 'public'::regnamespace
     union select tgname from pg_trigger where not tgisinternal order by 1`,
  )
  return rows.map(row => row.name).filter(name => !name.startsWith('countersign_rbac_migrations'))
}

async function fill(): Promise<string> {
  await syncCatalog(knex, permissions)
  const admin = createRoleAdmin({ knex, permissions })
  await admin.createRole({ name: 'viewer', permissions: ['document:read'], isSystem: true })
  await admin.createRole({ name: 'editor', permissions: ['document:update'], inherits: ['viewer'] })
  await admin.addSeparationRule({ name: 'pair', kind: 'static', roles: ['viewer', 'editor'], atMost: 1 })
  const user = await insertUser(knex)
  await admin.assign(user, 'viewer')
  return user
}

describe('migrations', () => {
  test('go up, down and up again on an empty database and leave nothing behind', async () => {
    await knex.migrate.latest(migrations({ users: true }))
    const up = await objectNames()
    await knex.migrate.rollback(migrations({ users: true }), true)
    expect(await objectNames()).toEqual([])
    await knex.migrate.latest(migrations({ users: true }))
    expect(await objectNames()).toEqual(up)
  })

  test('go up, down and up again on a filled database', async () => {
    await knex.migrate.latest(migrations())
    await fill()
    await knex.migrate.rollback(migrations(), true)
    expect(await objectNames()).toEqual([])
    await knex.migrate.latest(migrations())
    const user = await fill()
    expect(await objectionGrantStore({ knex }).loadSubject(user)).toMatchObject({ assignments: [{ role: 'viewer' }] })
  })

  test('do not repeat a version after going down and up', async () => {
    await knex.migrate.latest(migrations())
    await fill()
    const before = await objectionGrantStore({ knex }).loadVersion()
    await knex.migrate.rollback(migrations(), true)
    await knex.migrate.latest(migrations())
    expect(await objectionGrantStore({ knex }).loadVersion()).toBeGreaterThan(before)
  })

  test('run once when two processes start together', async () => {
    const results = await Promise.allSettled([knex.migrate.latest(migrations()), knex.migrate.latest(migrations())])
    expect(results.some(result => result.status === 'fulfilled')).toBe(true)
    expect(await knex('countersign_rbac_migrations').pluck('name')).toEqual(['001_users', '002_rbac'])
  })

  test('keep their books apart from those of another package', async () => {
    await knex.migrate.latest(migrations())
    expect(await knex.schema.hasTable('knex_migrations')).toBe(false)
    expect(await knex('countersign_rbac_migrations').pluck('name')).toHaveLength(2)
  })

  test('make user names and addresses unique whatever their case', async () => {
    await knex.migrate.latest(migrations())
    await insertUser(knex, { username: 'Ann', email: 'ann@example.org' })
    await expect(insertUser(knex, { username: 'ann' })).rejects.toMatchObject({ code: '23505' })
    await expect(insertUser(knex, { email: 'ANN@example.org' })).rejects.toMatchObject({ code: '23505' })
  })

  test('hold one unscoped assignment of a role to a user', async () => {
    await knex.migrate.latest(migrations())
    const user_id = await fill()
    const { id: role_id } = await knex('roles').where({ name: 'viewer' }).first<{ id: string }>('id')
    await expect(knex('user_roles').insert({ user_id, role_id })).rejects.toMatchObject({ code: '23505' })
    await knex('user_roles').insert({ user_id, role_id, scope: 'team:7' })
  })

  test('refuse to delete system roles and permissions', async () => {
    await knex.migrate.latest(migrations())
    await fill()
    await expect(knex('roles').where({ name: 'viewer' }).delete()).rejects.toMatchObject({ code: '23001' })
    await expect(knex('permissions').where({ name: '*' }).delete()).rejects.toMatchObject({ code: '23001' })
    await knex('roles').where({ name: 'editor' }).delete()
    await knex('permissions').where({ name: 'document:read' }).delete()
  })
})

describe("migrations beside an application's own users", () => {
  const users = { table: 'auth.accounts', id: 'account_id', isActive: 'enabled', isSuperuser: 'root' } as const

  beforeEach(async () => {
    await knex.raw(`
      create schema auth;
      create table auth.accounts (account_id bigint primary key, enabled boolean, root boolean not null, login text);
      insert into auth.accounts values (1, true, false, 'ann'), (2, null, true, 'bob');
    `)
  })

  test('refer to its key in its type, and leave it alone on the way down', async () => {
    await knex.migrate.latest(migrations({ users }))
    const { rows } = await knex.raw<{ rows: { type: string }[] }>(
      `select format_type(atttypid, atttypmod) as type from pg_attribute
       where attrelid = 'user_roles'::regclass and attname in ('user_id', 'granted_by')`,
    )
    expect(rows).toEqual([{ type: 'bigint' }, { type: 'bigint' }])
    await expect(
      knex.raw(`with r as (insert into roles (name) values ('x') returning id)
        insert into user_roles (user_id, role_id) select 3, id from r`),
    ).rejects.toMatchObject({ code: '23503' })
    await knex.migrate.rollback(migrations({ users }), true)
    expect(await objectNames()).toEqual([])
    expect(await knex.withSchema('auth').table('accounts').count()).toEqual([{ count: '2' }])
  })

  test('serve the store and the administration', async () => {
    await knex.migrate.latest(migrations({ users }))
    await syncCatalog(knex, permissions)
    const admin = createRoleAdmin({ knex, permissions, users })
    const store = objectionGrantStore({ knex, users })
    await admin.createRole({ name: 'viewer', permissions: ['document:read'] })
    const version = await admin.assign('1', 'viewer', { scope: 'team:7', grantedBy: '2' }).catch((e: unknown) => e)
    expect(version).toMatchObject({ code: 'GRANT_NOT_HELD' })
    const token = await admin.assign('1', 'viewer', { scope: 'team:7' })
    expect(await store.loadSubject('1')).toEqual({
      version: token,
      isActive: true,
      isSuperuser: false,
      assignments: [{ role: 'viewer', scope: 'team:7' }],
    })
    expect(await store.loadSubject('2')).toMatchObject({ isActive: false, isSuperuser: true, assignments: [] })
    for (const id of ['3', '01', 'ann', '', '99999999999999999999', '1\u0000']) {
      expect(await store.loadSubject(id)).toBeUndefined()
    }
  })

  test.each([
    ['users.table', { table: 'accounts' }],
    ['users.id', { ...users, id: 'login' }],
    ['users.id', { ...users, id: 'nothing' }],
    ['users.isActive', { ...users, isActive: 'login' }],
    ['users.isSuperuser', { ...users, isSuperuser: undefined }],
  ])('name %s when it is not as expected', async (field, wrong) => {
    await expect(knex.migrate.latest(migrations({ users: wrong }))).rejects.toMatchObject({
      code: 'INVALID_DEFINITION',
      field,
    })
  })

  test('do without flags the table does not have', async () => {
    const bare = { table: 'people', isActive: false, isSuperuser: false } as const
    await knex.raw(`create table people (id text primary key); insert into people values ('ann')`)
    await knex.migrate.latest(migrations({ users: bare }))
    expect(await objectionGrantStore({ knex, users: bare }).loadSubject('ann')).toMatchObject({
      isActive: true,
      isSuperuser: false,
    })
  })
})

describe('migrations in a schema of the search path', () => {
  test('serve several schemas of one database apart from each other', async () => {
    const schemas = await Promise.all(
      ['one', 'two'].map(async schema => {
        await knex.raw('create schema ??', [schema])
        const own = knexOf({ client: 'pg', connection: database.url, searchPath: [schema] })
        await own.migrate.latest(migrations())
        await syncCatalog(own, permissions)
        const heard: unknown[] = []
        const feed = await postgresChanges({
          connectionString: database.url,
          connection: { options: `-c search_path=${schema}` },
        }).subscribe({
          onChange: change => heard.push(change),
          onGap: () => heard.push('gap'),
          onState: () => undefined,
        })
        return { own, heard, feed, admin: createRoleAdmin({ knex: own, permissions }) }
      }),
    )
    const [one, two] = schemas as [(typeof schemas)[0], (typeof schemas)[0]]
    await two.own.raw('update rbac_version set version = version + 1000')
    const late = await two.admin.createRole({ name: 'viewer', permissions: ['document:read'] })
    const early = await one.admin.createRole({ name: 'viewer', permissions: ['document:read'] })
    await eventually(() => {
      expect(one.heard.at(-1)).toEqual({ version: early })
      expect(two.heard.at(-1)).toBe('gap')
    })
    expect(one.heard).toEqual(['gap', { version: early }])
    expect(await objectionGrantStore({ knex: two.own }).loadVersion()).toBe(late)
    // The functions of the triggers find their tables whatever the search path of the writer.
    await knex.raw(`update one.roles set description = 'from outside'`)
    expect(await objectionGrantStore({ knex: one.own }).loadVersion()).toBe(early + 1)
    for (const { own, feed } of schemas) {
      await feed.close()
      await own.destroy()
    }
  })
})
