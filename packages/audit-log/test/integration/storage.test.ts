import Knex from 'knex'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  auditTable,
  grantAuditReader,
  grantAuditWriter,
  maintainPartitions,
  migrations,
  partitionedMonthsAhead,
} from '../../src/objection/index.ts'
import { uuidv7 } from '../../src/uuid.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

let database: AuditedDatabase
let knex: Knex.Knex

beforeAll(async () => {
  database = await auditedDatabase()
  knex = database.knex
  await knex.raw('create table notes (id int primary key, text text)')
  await auditTable(knex, 'notes')
})

afterAll(() => database.close())

describe('append-only', () => {
  beforeAll(() => database.audit.recordDurably({ action: 'test.row' }))

  const partition = `audit_logs_${new Date().toISOString().slice(0, 7).replace('-', '_')}`

  test.each([
    'update audit_logs set action = null',
    'update audit_logs set action = null where false',
    'delete from audit_logs',
    'truncate audit_logs',
    `insert into audit_logs select * from audit_logs on conflict (id, created_at) do update set action = 'x'`,
    `update ${partition} set action = null`,
    `delete from ${partition}`,
    `truncate ${partition}`,
    `set session_replication_role = replica; delete from audit_logs`,
    `merge into audit_logs using (values (1)) as s (x) on true when matched then delete`,
  ])('even the owner is refused: %s', async statement => {
    const sql = statement.replace('select *', 'select id, created_at')
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      await expect(client.query(sql)).rejects.toMatchObject({ code: '42501' })
    } finally {
      await client.end()
    }
    expect(await database.rows({ action: 'test.row' })).toHaveLength(1)
  })
})

describe('roles', () => {
  const writer = `writer_${uuidv7().slice(-8)}`
  const reader = `reader_${uuidv7().slice(-8)}`

  beforeAll(async () => {
    await knex.raw('create role ?? login', [writer])
    await knex.raw('create role ?? login', [reader])
    await knex.raw('grant select, insert, update, delete on notes to ??, ??', [writer, reader])
    await grantAuditWriter(knex, writer)
    await grantAuditReader(knex, reader)
  })

  afterAll(async () => {
    for (const role of [writer, reader]) {
      await knex.raw('drop owned by ??', [role])
      await knex.raw('drop role ??', [role])
    }
  })

  async function as(role: string, sql: string): Promise<unknown> {
    return knex.transaction(async trx => {
      await trx.raw('set local role ??', [role])
      await trx.raw(sql)
    })
  }

  const insert = `insert into audit_logs (id, created_at, action) values (gen_random_uuid(), now(), 'by.hand')`

  test('the writer adds and reads, the reader reads, neither does more', async () => {
    await as(writer, insert)
    await as(writer, 'select count(*) from audit_logs')
    await as(reader, 'select count(*) from audit_logs')
    await expect(as(reader, insert)).rejects.toMatchObject({ code: '42501' })
    for (const sql of [
      'update audit_logs set action = null',
      'delete from audit_logs',
      'truncate audit_logs',
      'drop table audit_logs',
      'alter table audit_logs disable trigger all',
      'alter table notes disable trigger countersign_audit',
      'select countersign_audit_partitions(1)',
      `create table fake (id int); create trigger t after insert on fake for each row
        execute function countersign_audit_change('x', '{}', '{}', '{}', '{}', '{}', '', '', '{}', '{}', '{}', '{}')`,
    ]) {
      await expect(as(writer, sql), sql).rejects.toMatchObject({ code: '42501' })
    }
  })

  test('a role without any right on the log changes audited tables, and is recorded', async () => {
    await knex.raw('revoke all on audit_logs from ??', [reader])
    await as(reader, `insert into notes values (1, 'mine')`)
    expect(await database.changes({ resourceType: 'notes' })).toEqual([
      ['notes.create', '1', null, { id: 1, text: 'mine' }],
    ])
    await grantAuditReader(knex, reader)
  })

  test('a search path of the caller’s cannot put other functions in place of the trigger’s', async () => {
    await knex.raw('create schema evil')
    await knex.raw('grant usage on schema evil to ??', [writer])
    await knex.raw(
      `create function evil.to_jsonb(anyelement) returns jsonb language sql as $$ select '{"id": 666}'::jsonb $$`,
    )
    await knex.raw(`create function evil.left(text, int) returns text language sql as $$ select 'evil' $$`)
    await as(writer, `set local search_path = evil, public, pg_catalog; insert into public.notes values (2, 'safe')`)
    const rows = await database.rows({ resourceType: 'notes', resourceId: '2' })
    expect(rows.map(row => [row.newValues, row.userId])).toEqual([[{ id: 2, text: 'safe' }, null]])
  })
})

describe('partitions', () => {
  async function names(): Promise<string[]> {
    const { rows } = await knex.raw<{ rows: { name: string }[] }>(
      `select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = 'audit_logs'::regclass order by 1`,
    )
    return rows.map(row => row.name)
  }

  const month = (offset: number) => {
    const now = new Date()
    const day = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1))
    return `audit_logs_${day.toISOString().slice(0, 7).replace('-', '_')}`
  }

  test('the migration makes them from last month to twelve months ahead, and none by default', async () => {
    expect(await names()).toEqual(Array.from({ length: 14 }, (_, i) => month(i - 1)))
    expect(await partitionedMonthsAhead(knex)).toBe(12)
  })

  test('the maintenance makes what is missing, once, also when run twice at once and beside a writer', async () => {
    const writer = await knex.transaction()
    await writer('notes').insert({ id: 50, text: 'open' })
    const other = Knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 2 } })
    try {
      const made = await Promise.all([
        maintainPartitions(other, { monthsAhead: 14 }),
        maintainPartitions(other, { monthsAhead: 14 }),
      ])
      expect(made.flat()).toEqual([month(13), month(14)])
    } finally {
      await writer.commit()
      await other.destroy()
    }
    expect(await partitionedMonthsAhead(knex)).toBe(14)
    await expect(knex(month(14)).delete()).rejects.toMatchObject({ code: '42501' })
  })

  test.each([0, 1.5, 121, NaN])('%s months ahead are refused', async monthsAhead => {
    await expect(maintainPartitions(knex, { monthsAhead })).rejects.toMatchObject({ option: 'monthsAhead' })
  })

  test('a row stands in the partition of the time inside its id', async () => {
    await knex.raw(`insert into notes values (60, 'x')`)
    const { rows } = await knex.raw<{ rows: { wrong: number; total: number }[] }>(`
      select count(*)::int as total, (count(*) filter (where created_at <> to_timestamp(
        ('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 1000.0)))::int as wrong
      from audit_logs where action like 'notes.%' or action = 'test.row'`)
    expect(rows[0]?.total).toBeGreaterThan(3)
    expect(rows[0]?.wrong).toBe(0)
  })
})

test('the migrations can be taken back', async () => {
  const other = await auditedDatabase()
  try {
    await other.knex.migrate.rollback(migrations(), true)
    const { rows } = await other.knex.raw<{ rows: unknown[] }>(
      `select proname as name from pg_proc where proname like 'countersign%'
       union all select relname from pg_class where relname like 'audit_logs%'`,
    )
    expect(rows).toEqual([])
    await other.knex.migrate.latest(migrations())
  } finally {
    await other.close()
  }
})
