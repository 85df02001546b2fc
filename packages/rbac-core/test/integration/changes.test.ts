import type { Knex } from 'knex'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { execFile } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import type { GrantChange, GrantChangeSubscription } from '../../src/grant-store.ts'
import { createRoleAdmin, objectionGrantStore } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

const run = promisify(execFile)

let database: TestDatabase
let knex: Knex
let user: string

beforeAll(async () => {
  database = await migratedDatabase()
  knex = database.knex
  const admin = createRoleAdmin({ knex, permissions })
  await admin.createRole({ name: 'viewer', permissions: ['document:read'] })
  await admin.createRole({ name: 'editor', permissions: ['document:update'] })
  user = await insertUser(knex)
  await insertUser(knex, { is_superuser: true })
})

afterAll(async () => {
  await database.close()
})

describe('a committed change', () => {
  let listener: pg.Client
  let heard: GrantChange[]

  beforeEach(async () => {
    heard = []
    listener = new pg.Client(database.url)
    await listener.connect()
    listener.on('notification', ({ payload }) => heard.push(JSON.parse(payload ?? '') as GrantChange))
    await listener.query('listen countersign_rbac')
  })

  afterEach(async () => {
    await listener.end()
  })

  /** What is heard of the statements, up to a last change that marks the end. */
  async function heardOf(...statements: string[]): Promise<{ subjects: (string | undefined)[]; raised: number }> {
    const store = objectionGrantStore({ knex })
    const before = await store.loadVersion()
    for (const statement of statements) await knex.raw(statement)
    const raised = (await store.loadVersion()) - before
    const [mark] = await knex('roles')
      .insert({ name: `mark ${before}` })
      .returning<{ id: string }[]>('id')
    await knex('roles').where('id', mark?.id).delete()
    const last = await store.loadVersion()
    await eventually(() => {
      expect(heard.at(-1)?.version).toBe(last)
    })
    return { subjects: heard.slice(0, -2).map(change => change.subjectId), raised }
  }

  test.each([
    ['roles', `update roles set is_active = is_active where name = 'viewer'`],
    ['permissions', `update permissions set is_active = true where name = '*'`],
    [
      'role_permissions',
      `insert into role_permissions select r.id, p.id from roles r, permissions p
      where r.name = 'viewer' and p.name = 'document:publish'`,
    ],
    [
      'role_permissions',
      `delete from role_permissions where permission_id =
      (select id from permissions where name = 'document:publish')`,
    ],
    [
      'role_inherits',
      `insert into role_inherits select a.id, b.id from roles a, roles b
      where a.name = 'editor' and b.name = 'viewer'`,
    ],
    ['role_inherits', 'truncate role_inherits'],
    ['separation_rules', `insert into separation_rules (name, kind, at_most) values ('one', 'static', 1)`],
    ['separation_rule_roles', `insert into separation_rule_roles select s.id, r.id from separation_rules s, roles r`],
    ['separation_rules', 'delete from separation_rules'],
  ])('of %s in raw SQL is heard of and concerns everybody', async (_table, statement) => {
    const { subjects, raised } = await heardOf(statement)
    expect(new Set(subjects)).toEqual(new Set([undefined]))
    expect(raised).toBe(1)
  })

  test('of one user names the subject, in raw SQL too', async () => {
    const { subjects } = await heardOf(
      `insert into user_roles (user_id, role_id) select '${user}', id from roles where name = 'viewer'`,
      `update user_roles set expires_at = now() + interval '1 hour'`,
      'delete from user_roles',
      `update users set is_active = false where id = '${user}'`,
      `update users set is_active = true, is_superuser = true where id = '${user}'`,
      `update users set is_superuser = false where id = '${user}'`,
    )
    expect(subjects).toEqual([user, user, user, user, user, user])
  })

  test('of several users in one statement names nobody', async () => {
    const other = await insertUser(knex)
    const { subjects } = await heardOf(
      `insert into user_roles (user_id, role_id) select u.id, r.id from users u, roles r
        where r.name = 'viewer' and u.id in ('${user}', '${other}')`,
      `update user_roles set user_id = '${other}', scope = 'moved' where user_id = '${user}'`,
      'delete from user_roles',
    )
    // By then both assignments are the other user's.
    expect(subjects).toEqual([undefined, undefined, other])
  })

  test('of a deleted user names the subject', async () => {
    const gone = await insertUser(knex)
    const { subjects } = await heardOf(`delete from users where id = '${gone}'`)
    expect(subjects).toEqual([gone])
  })

  test('of a login, of no row, or rolled back is not heard of and does not raise the version', async () => {
    const { subjects, raised } = await heardOf(
      `update users set last_login = now(), updated_at = now(), is_active = true`,
      `delete from user_roles where scope = 'nowhere'`,
      `update roles set name = name where name = 'nobody'`,
      `begin; delete from roles; rollback`,
    )
    expect(subjects).toEqual([])
    expect(raised).toBe(0)
  })

  test('of many statements in one transaction raises the version once and is heard of once', async () => {
    const { subjects, raised } = await heardOf(
      `begin; ${`update roles set description = 'x';`.repeat(50)} update permissions set description = 'y'; commit`,
    )
    expect(subjects).toEqual([undefined])
    expect(raised).toBe(1)
  })

  test('by a database role without rights on the version raises it all the same', async () => {
    const store = objectionGrantStore({ knex })
    const transaction = await knex.transaction()
    await transaction.raw(`
      create role app_without_version;
      grant select, update on users to app_without_version;
      grant select, insert on user_roles, roles to app_without_version;
      set local role app_without_version;
      update users set is_superuser = true where id = '${user}';
      insert into user_roles (user_id, role_id) select '${user}', id from roles where name = 'viewer';
    `)
    await expect(transaction.transaction(nested => nested.raw('select * from rbac_version'))).rejects.toThrow(/denied/)
    await expect(transaction.transaction(nested => nested.raw('select rbac_bump(null)'))).rejects.toThrow(/denied/)
    await transaction.raw('reset role')
    const { rows } = await transaction.raw<{ rows: { version: string }[] }>('select version from rbac_version')
    expect(Number(rows[0]?.version)).toBe((await store.loadVersion()) + 1)
    await transaction.rollback()
  })

  test('waits for its turn, so that versions are ordered as transactions commit', async () => {
    const first = await knex.transaction()
    await first.raw(`update roles set description = 'first' where name = 'viewer'`)
    const second = knex.raw(`update roles set description = 'second' where name = 'editor'`).then(() => 'committed')
    expect(await Promise.race([second, knex.raw('select pg_sleep(0.2)').then(() => 'waiting')])).toBe('waiting')
    await first.commit()
    expect(await second).toBe('committed')
  })
})

describe('postgresChanges', () => {
  let subscription: GrantChangeSubscription | undefined
  let events: string[]

  const listener = {
    onChange: (change: GrantChange) => events.push(`change ${change.subjectId ?? 'all'}`),
    onGap: () => events.push('gap'),
    onState: (state: string) => events.push(state),
  }

  beforeEach(() => {
    events = []
  })

  afterEach(async () => {
    await subscription?.close()
    subscription = undefined
  })

  const feedBackends = async (): Promise<number[]> => {
    const { rows } = await knex.raw<{ rows: { pid: number }[] }>(
      `select pid from pg_stat_activity where application_name = 'countersign-rbac-changes' and datname = current_database()`,
    )
    return rows.map(row => row.pid)
  }

  /** Keeps new connections out; those that are open stay. */
  const allowConnections = async (allow: boolean): Promise<void> => {
    const server = new pg.Client(inject('postgresUrl'))
    await server.connect()
    await server.query(`alter database ${new URL(database.url).pathname.slice(1)} allow_connections ${String(allow)}`)
    await server.end()
  }

  const touch = (name: string): Promise<unknown> => knex('roles').where({ name }).update({ description: 'touched' })

  test('tells of a change at commit, within milliseconds', async () => {
    subscription = await postgresChanges({ connectionString: database.url }).subscribe(listener)
    expect(events).toEqual(['gap', 'connected'])
    await knex('users').where({ id: user }).update({ is_active: false })
    await knex('users').where({ id: user }).update({ is_active: true })
    await touch('viewer')
    await eventually(() => {
      expect(events.slice(2)).toEqual([`change ${user}`, `change ${user}`, 'change all'])
    })
  })

  test('reconnects after its backend was terminated and finds the change it missed', async () => {
    subscription = await postgresChanges({ connectionString: database.url }).subscribe(listener)
    await allowConnections(false)
    for (const pid of await feedBackends()) await knex.raw('select pg_terminate_backend(?)', [pid])
    await eventually(() => {
      expect(events.at(-1)).toBe('disconnected')
    })
    await touch('viewer')
    await allowConnections(true)
    await eventually(() => {
      expect(events.at(-1)).toBe('connected')
    })
    expect(events).toEqual(['gap', 'connected', 'disconnected', 'gap', 'connected'])
  })

  test('reports no gap when nothing changed while it was away', async () => {
    subscription = await postgresChanges({ connectionString: database.url }).subscribe(listener)
    for (const pid of await feedBackends()) await knex.raw('select pg_terminate_backend(?)', [pid])
    await eventually(() => {
      expect(events).toEqual(['gap', 'connected', 'disconnected', 'connected'])
    })
  })

  test('finds a change whose notification never came by reading the version', async () => {
    subscription = await postgresChanges({ connectionString: database.url, pollMs: 50 }).subscribe(listener)
    await knex.raw('update rbac_version set version = version + 1')
    await eventually(() => {
      expect(events).toEqual(['gap', 'connected', 'gap'])
    })
  })

  test('hears every version once and in order while many write, and some roll back', async () => {
    const versions: number[] = []
    subscription = await postgresChanges({ connectionString: database.url }).subscribe({
      ...listener,
      onChange: change => versions.push(change.version),
    })
    const store = objectionGrantStore({ knex })
    const before = await store.loadVersion()
    await Promise.all(
      Array.from({ length: 120 }, async (_, number) => {
        const transaction = await knex.transaction()
        await transaction('users')
          .where({ id: user })
          .update({ is_active: number % 2 === 0 })
        await transaction('roles')
          .where({ name: 'viewer' })
          .update({ description: `${number}` })
        await (number % 3 === 0 ? transaction.rollback() : transaction.commit())
      }),
    )
    const after = await store.loadVersion()
    await eventually(() => {
      expect(versions.at(-1)).toBe(after)
    })
    expect([...new Set(versions)]).toEqual(Array.from({ length: 80 }, (_, index) => before + 1 + index))
    expect(versions).toEqual([...versions].sort())
    expect(events).toEqual(['gap', 'connected'])
    await knex('users').where({ id: user }).update({ is_active: true })
  })

  test('takes a skipped version and a text it cannot read for a gap', async () => {
    subscription = await postgresChanges({ connectionString: database.url }).subscribe(listener)
    await knex.raw(`select pg_notify('countersign_rbac', 'hello')`)
    await eventually(() => {
      expect(events).toEqual(['gap', 'connected', 'gap'])
    })
    await knex.raw('update rbac_version set version = version + 1')
    await touch('viewer')
    await eventually(() => {
      expect(events).toEqual(['gap', 'connected', 'gap', 'gap'])
    })
  })

  test('survives that the first attempt fails, says why, and connects when the server is there', async () => {
    const errors: unknown[] = []
    const keep = (message: unknown): unknown => errors.push(message)
    subscribe('countersign.rbac-core.changes.error', keep)
    await allowConnections(false)
    subscription = await postgresChanges({ connectionString: database.url }).subscribe(listener)
    expect(events).toEqual(['disconnected'])
    expect(errors).toEqual([{ error: expect.objectContaining({ code: '55000' }) as unknown }])
    await allowConnections(true)
    await eventually(() => {
      expect(events).toEqual(['disconnected', 'gap', 'connected'])
    })
    unsubscribe('countersign.rbac-core.changes.error', keep)
  })

  test('closes at once, also before a frozen server, and leaves nothing that keeps the process up', async () => {
    const silent = createServer()
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    const script = new URL('close-feed.process.ts', import.meta.url).pathname
    const { stdout } = await run(process.execPath, [script, database.url, `postgres://127.0.0.1:${port}/none`], {
      timeout: 10_000,
    })
    const { closedAfterMs } = JSON.parse(stdout) as { closedAfterMs: number }
    expect(closedAfterMs).toBeLessThan(1000)
    await eventually(async () => {
      expect(await feedBackends()).toEqual([])
    })
    silent.close()
  })

  test('names an option that is wrong', () => {
    expect(() => postgresChanges({ connectionString: database.url, pollMs: 0 })).toThrow(/pollMs/)
    expect(() => postgresChanges({ connectionString: 'postgres://[' })).toThrow()
  })
})
