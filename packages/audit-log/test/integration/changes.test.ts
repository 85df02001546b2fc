import type { Knex } from 'knex'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { auditTable, unauditTable, type TablePolicy } from '../../src/objection/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

let database: AuditedDatabase
let knex: Knex

beforeAll(async () => {
  database = await auditedDatabase()
  knex = database.knex
})

afterAll(() => database.close())

type Values = Record<string, unknown>

describe('a change of (old, new) under a policy', () => {
  const empty = { id: 1, title: null, n: null, amount: null, password: null, body: null, tags: null, deleted_at: null }

  beforeAll(async () => {
    await knex.raw(`create table things (id int primary key, title text, n int, amount numeric, password text, body jsonb,
      tags text[], deleted_at timestamptz)`)
  })

  beforeEach(async () => {
    await unauditTable(knex, 'things')
    await knex('things').truncate()
  })

  interface Change {
    name: string
    policy?: TablePolicy
    old?: Values
    new?: Values
    recorded: [verb: string, oldValues: Values | null, newValues: Values | null] | null
  }

  const changes: Change[] = [
    {
      name: 'insert: every column, NULL too',
      new: { title: 'a' },
      recorded: ['create', null, { ...empty, title: 'a' }],
    },
    { name: 'delete: every column', old: { n: 1 }, recorded: ['delete', { ...empty, n: 1 }, null] },
    { name: 'one field', old: { n: 1 }, new: { n: 2 }, recorded: ['update', { n: 1 }, { n: 2 }] },
    {
      name: 'two fields, the third is the same',
      old: { n: 1, title: 'a', amount: 5 },
      new: { n: 2, title: 'b', amount: 5 },
      recorded: ['update', { n: 1, title: 'a' }, { n: 2, title: 'b' }],
    },
    { name: 'NULL to a value', old: {}, new: { n: 0 }, recorded: ['update', { n: null }, { n: 0 }] },
    { name: 'a value to NULL', old: { title: '' }, new: {}, recorded: ['update', { title: '' }, { title: null }] },
    { name: 'NULL to json null', old: {}, new: { body: 'null' }, recorded: null },
    { name: 'no change', old: { n: 1, title: 'a' }, new: { n: 1, title: 'a' }, recorded: null },
    { name: 'equal numbers written otherwise', old: { amount: '1.0' }, new: { amount: '1.00' }, recorded: null },
    {
      name: 'equal json written otherwise',
      old: { body: '{"a":1,"b":2}' },
      new: { body: '{"b":2,"a":1}' },
      recorded: null,
    },
    {
      name: 'json inside',
      old: { body: '{"a":[1,2]}' },
      new: { body: '{"a":[2,1]}' },
      recorded: ['update', { body: { a: [1, 2] } }, { body: { a: [2, 1] } }],
    },
    {
      name: 'a secret inside json',
      old: { body: '{"a":1,"list":[{"apiKey":"k1","x":1}],"token":null}' },
      new: { body: '{"a":1,"list":[{"apiKey":"k2","x":1}],"token":null}' },
      recorded: [
        'update',
        { body: { a: 1, list: [{ apiKey: '[masked]', x: 1 }], token: null } },
        { body: { a: 1, list: [{ apiKey: '[masked]', x: 1 }], token: null } },
      ],
    },
    {
      name: 'an array',
      old: { tags: ['a'] },
      new: { tags: ['a', 'b'] },
      recorded: ['update', { tags: ['a'] }, { tags: ['a', 'b'] }],
    },
    {
      name: 'a column with a secret’s name is masked unasked',
      old: { password: 'x' },
      new: { password: 'y' },
      recorded: ['update', { password: '[masked]' }, { password: '[masked]' }],
    },
    {
      name: 'a secret that was not set shows that it was not',
      old: {},
      new: { password: 'y' },
      recorded: ['update', { password: null }, { password: '[masked]' }],
    },
    {
      name: 'reveal',
      policy: { reveal: ['password'] },
      old: { password: 'x' },
      new: { password: 'y' },
      recorded: ['update', { password: 'x' }, { password: 'y' }],
    },
    {
      name: 'mask',
      policy: { mask: ['title', 'n'] },
      old: { title: 'a', n: 1 },
      new: { title: 'a', n: 2 },
      recorded: ['update', { n: '[masked]' }, { n: '[masked]' }],
    },
    {
      name: 'exclude',
      policy: { exclude: ['n'] },
      old: { n: 1, title: 'a' },
      new: { n: 2, title: 'b' },
      recorded: ['update', { title: 'a' }, { title: 'b' }],
    },
    { name: 'only what is excluded', policy: { exclude: ['n'] }, old: { n: 1 }, new: { n: 2 }, recorded: null },
    {
      name: 'include',
      policy: { include: ['n'] },
      old: { n: 1, title: 'a' },
      new: { n: 2, title: 'b' },
      recorded: ['update', { n: 1 }, { n: 2 }],
    },
    { name: 'nothing of what is included', policy: { include: ['n'] }, old: {}, new: { title: 'b' }, recorded: null },
    { name: 'insert under include', policy: { include: ['n'] }, new: { n: 1 }, recorded: ['create', null, { n: 1 }] },
    {
      name: 'delete under include and mask',
      policy: { include: ['n', 'title'], mask: ['n'] },
      old: { n: 1, title: 'a' },
      recorded: ['delete', { n: '[masked]', title: 'a' }, null],
    },
    {
      name: 'a key in json that is excluded, alone',
      policy: { exclude: ['body.seen', 'body.deep.x'] },
      old: { body: '{"seen":1,"a":1,"deep":{"x":1}}' },
      new: { body: '{"seen":2,"a":1,"deep":{"x":2}}' },
      recorded: null,
    },
    {
      name: 'keys in json that are excluded and masked',
      policy: { exclude: ['body.seen'], mask: ['body.deep.x', 'body.none.y'] },
      old: { body: '{"seen":1,"a":1,"deep":{"x":1},"none":[1]}' },
      new: { body: '{"seen":2,"a":2,"deep":{"x":null},"none":5}' },
      recorded: [
        'update',
        { body: { a: 1, deep: { x: '[masked]' }, none: [1] } },
        { body: { a: 2, deep: { x: null }, none: 5 } },
      ],
    },
    {
      name: 'a key in json that holds no object',
      policy: { exclude: ['body.seen'], mask: ['body.a'] },
      old: { body: '[1]' },
      new: { body: '"text"' },
      recorded: ['update', { body: [1] }, { body: 'text' }],
    },
    {
      name: 'soft delete',
      policy: { softDelete: 'deleted_at' },
      old: {},
      new: { deleted_at: '2026-01-01T00:00:00Z' },
      recorded: ['soft_delete', { deleted_at: null }, { deleted_at: '2026-01-01T00:00:00+00:00' }],
    },
    {
      name: 'restore',
      policy: { softDelete: 'deleted_at' },
      old: { deleted_at: '2026-01-01T00:00:00Z' },
      new: {},
      recorded: ['restore', { deleted_at: '2026-01-01T00:00:00+00:00' }, { deleted_at: null }],
    },
    {
      name: 'a large text is cut',
      old: {},
      new: { title: 'x'.repeat(20_000) },
      recorded: ['update', { title: null }, { title: `${'x'.repeat(1024)}[truncated: 20000 characters]` }],
    },
    {
      name: 'a large json value shows nothing of itself',
      policy: { mask: ['body.note'] },
      old: {},
      new: { body: JSON.stringify({ token: 'abc', note: 'x', list: Array.from({ length: 5000 }, (_, i) => i) }) },
      recorded: ['update', { body: null }, { body: expect.stringMatching(/^\[truncated: \d+ bytes\]$/) as unknown }],
    },
    {
      name: 'the key itself',
      old: { id: 1 },
      new: { id: 7 },
      recorded: ['update', { id: 1 }, { id: 7 }],
    },
  ]

  test.each(changes)('$name', async ({ policy, old, new: fresh, recorded }) => {
    if (old) await knex('things').insert({ id: 1, ...old })
    await auditTable(knex, 'things', { resourceType: 'thing', ...policy })
    const before = (await database.rows()).length
    const columns = Object.keys(empty)
    if (!fresh) await knex('things').delete()
    else if (!old) await knex('things').insert({ id: 1, ...fresh })
    else await knex('things').update({ ...Object.fromEntries(columns.map(column => [column, null])), id: 1, ...fresh })
    const rows = (await database.rows()).slice(before)
    const seen = rows.map(row => [row.action, row.resourceType, row.resourceId, row.oldValues, row.newValues])
    expect(seen).toEqual(recorded ? [[`thing.${recorded[0]}`, 'thing', '1', recorded[1], recorded[2]]] : [])
  })
})

test('a column added, renamed or dropped later breaks no write and leaks no secret', async () => {
  await knex.raw('create table moving (id int primary key, a text, b text, c text)')
  await auditTable(knex, 'moving', { resourceType: 'moving', mask: ['c'], exclude: ['b'], repr: 'a' })
  await knex.raw('alter table moving add column new_api_key text, add column e int')
  await knex('moving').insert({ id: 1, a: 'x', new_api_key: 'k', e: 5 })
  await knex.raw('alter table moving rename column a to secret_a')
  await knex('moving').update({ secret_a: 'y' })
  await knex.raw('alter table moving drop column b, drop column c')
  await knex('moving').update({ e: 6 })
  await knex('moving').delete()
  expect(await database.changes({ resourceType: 'moving' })).toEqual([
    ['moving.create', '1', null, { id: 1, a: 'x', c: null, new_api_key: '[masked]', e: 5 }],
    ['moving.update', '1', { secret_a: '[masked]' }, { secret_a: '[masked]' }],
    ['moving.update', '1', { e: 5 }, { e: 6 }],
    ['moving.delete', '1', { id: 1, secret_a: '[masked]', new_api_key: '[masked]', e: 6 }, null],
  ])
})

test('odd names of tables, columns and resources are taken as they are', async () => {
  const table = `odd "table' \\ ? $1 name`
  const column = `na"me' \\ ? {},$body$`
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query('create schema "odd.schema"; create table "odd.schema".plain (id int primary key)')
    const [quotedTable, quotedColumn] = [table, column].map(name => client.escapeIdentifier(name))
    await client.query(`create table ${quotedTable} (id int primary key, ${quotedColumn} text)`)
    await auditTable(knex, table, { resourceType: `it's`, mask: [column] })
    await auditTable(knex, 'odd.schema.plain')
    await client.query(`insert into ${quotedTable} values (1, 'x'); insert into "odd.schema".plain values (5)`)
  } finally {
    await client.end()
  }
  expect(await database.changes({ resourceType: `it's` })).toEqual([
    [`it's.create`, '1', null, { id: 1, [column]: '[masked]' }],
  ])
  expect(await database.changes({ resourceType: 'plain' })).toEqual([['plain.create', '5', null, { id: 5 }]])
})

test('a key of several columns is one id, and its history is found by it', async () => {
  await knex.raw('create table pairs (a int, b text, n int, primary key (b, a))')
  await auditTable(knex, 'pairs')
  await knex('pairs').insert({ a: 1, b: 'x "y", z', n: 1 })
  await knex('pairs').update({ n: 2 })
  const found = await database.changes({ resourceType: 'pairs', resourceId: ['x "y", z', 1] })
  expect(found.map(row => (row as unknown[])[0])).toEqual(['pairs.create', 'pairs.update'])
})

test('a table without a key is recorded without an id', async () => {
  await knex.raw('create table keyless (n int)')
  await auditTable(knex, 'keyless')
  await knex('keyless').insert({ n: 1 })
  expect(await database.changes({ resourceType: 'keyless' })).toEqual([['keyless.create', null, null, { n: 1 }]])
})

test('the row’s text for people is the newest, and a masked one is refused', async () => {
  await knex.raw('create table named (id int primary key, title text, pin text)')
  await auditTable(knex, 'named', { repr: 'title' })
  await knex('named').insert({ id: 1, title: 'a' })
  await knex('named').update({ title: 'b' })
  await knex('named').delete()
  const rows = await database.rows({ resourceType: 'named' })
  expect(rows.map(row => row.resourceRepr)).toEqual(['a', 'b', 'b'])
  await expect(auditTable(knex, 'named', { repr: 'pin' })).rejects.toMatchObject({
    code: 'AUDIT_OPTION_INVALID',
    option: 'repr',
  })
})

test('a secret or a json column cannot stand for a row', async () => {
  await knex.raw('create table sessions (token text primary key, data jsonb, user_id int)')
  await expect(auditTable(knex, 'sessions')).rejects.toMatchObject({ option: 'key' })
  await expect(auditTable(knex, 'sessions', { key: ['data'] })).rejects.toMatchObject({ option: 'key' })
  await expect(auditTable(knex, 'sessions', { key: [], ends: { x: 'token' } })).rejects.toMatchObject({
    option: 'ends',
  })
  await auditTable(knex, 'sessions', { key: ['user_id'] })
  await knex('sessions').insert({ token: 'secret-token', user_id: 7 })
  expect(await database.changes({ resourceType: 'sessions' })).toEqual([
    ['sessions.create', '7', null, { token: '[masked]', data: null, user_id: 7 }],
  ])
})

test.each([
  [{ mask: ['nothing'] }, 'mask'],
  [{ include: ['nothing'] }, 'include'],
  [{ exclude: ['nothing'] }, 'exclude'],
  [{ key: ['nothing'] }, 'key'],
  [{ softDelete: 'nothing' }, 'softDelete'],
  [{ mask: ['title.key'] }, 'mask'],
  [{ exclude: ['nothing.key'] }, 'exclude'],
  [{ ends: { a: 'nothing' } }, 'ends'],
  [{ ends: { '': 'title' } }, 'ends'],
  [{ resourceType: '' }, 'resourceType'],
  [{ resourceType: 'x'.repeat(101) }, 'resourceType'],
  [{ mask: ['title'], reveal: ['title'] }, 'mask'],
] as const)('a policy that cannot be meant is refused: %j', async (policy, option) => {
  await expect(auditTable(knex, 'named', policy)).rejects.toMatchObject({ code: 'AUDIT_OPTION_INVALID', option })
})

test('a table that does not exist is refused, and a policy can be replaced and removed', async () => {
  await expect(auditTable(knex, 'nowhere')).rejects.toMatchObject({ code: 'AUDIT_OPTION_INVALID', option: 'table' })
  await knex.raw('create table changing (id int primary key, n int)')
  await auditTable(knex, 'changing', { exclude: ['n'] })
  await knex('changing').insert({ id: 1, n: 1 })
  await auditTable(knex, 'changing')
  await knex('changing').insert({ id: 2, n: 2 })
  await unauditTable(knex, 'changing')
  await knex('changing').insert({ id: 3, n: 3 })
  expect(await database.changes({ resourceType: 'changing' })).toEqual([
    ['changing.create', '1', null, { id: 1 }],
    ['changing.create', '2', null, { id: 2, n: 2 }],
  ])
})

test('partitions of an audited table are audited, also those made later', async () => {
  await knex.raw(
    'create table measured (id int, region text, n int, primary key (id, region)) partition by list (region)',
  )
  await knex.raw(`create table measured_eu partition of measured for values in ('eu')`)
  await auditTable(knex, 'measured')
  await knex.raw(`create table measured_us partition of measured for values in ('us')`)
  await knex('measured').insert([
    { id: 1, region: 'eu', n: 1 },
    { id: 2, region: 'us', n: 1 },
  ])
  await knex('measured_us').update({ n: 2 })
  const rows = await database.rows({ resourceType: 'measured' })
  expect(rows.map(row => [row.action, row.resourceId])).toEqual([
    ['measured.create', '[1, "eu"]'],
    ['measured.create', '[2, "us"]'],
    ['measured.update', '[2, "us"]'],
  ])
})

test('tables that inherit are audited with their parent, and a truncated partition is recorded', async () => {
  await knex.raw('create table animals (id int primary key, name text)')
  await knex.raw('create table dogs (breed text, primary key (id)) inherits (animals)')
  await knex.raw('create table logged_at (id int, day date) partition by range (day)')
  await knex.raw(`create table logged_2026 partition of logged_at for values from ('2026-01-01') to ('2027-01-01')`)
  await auditTable(knex, 'animals', { resourceType: 'animal' })
  await auditTable(knex, 'logged_at')
  await knex('dogs').insert({ id: 1, name: 'Rex', breed: 'x' })
  await knex('animals').update({ name: 'Max' })
  await knex.raw('truncate logged_2026')
  expect(await database.changes({ resourceType: 'animal' })).toEqual([
    ['animal.create', '1', null, { id: 1, name: 'Rex', breed: 'x' }],
    ['animal.update', '1', { name: 'Rex' }, { name: 'Max' }],
  ])
  const [truncated] = await database.rows({ action: 'logged_at.truncate' })
  expect(truncated?.metadata).toEqual({ table: 'public.logged_2026' })
  await unauditTable(knex, 'animals')
  await knex('dogs').delete()
  expect(await database.rows({ resourceType: 'animal' })).toHaveLength(2)
})

test('a relation is told to both of its ends', async () => {
  await knex.raw('create table likes (post_id int, tag_id int, weight int, primary key (post_id, tag_id))')
  await auditTable(knex, 'likes', { resourceType: 'like', ends: { blog: 'post_id', label: 'tag_id' } })
  await knex('likes').insert({ post_id: 1, tag_id: 2 })
  await knex('likes').update({ weight: 5 })
  await knex('likes').update({ tag_id: 3 })
  await knex('likes').delete()
  const link = (tag: number) => ({ post_id: 1, tag_id: tag })
  expect(await database.changes({ resourceType: 'blog', resourceId: '1' })).toEqual([
    ['blog.relate', '1', null, link(2)],
    ['blog.unrelate', '1', link(2), null],
    ['blog.relate', '1', null, link(3)],
    ['blog.unrelate', '1', link(3), null],
  ])
  expect(await database.changes({ resourceType: 'label' })).toEqual([
    ['label.relate', '2', null, link(2)],
    ['label.unrelate', '2', link(2), null],
    ['label.relate', '3', null, link(3)],
    ['label.unrelate', '3', link(3), null],
  ])
  expect((await database.rows({ resourceType: 'like' })).map(row => row.action)).toEqual([
    'like.create',
    'like.update',
    'like.update',
    'like.delete',
  ])
})

test('types of every kind are recorded and none fails the write', async () => {
  await knex.raw(`create type mood as enum ('ok', 'bad')`)
  await knex.raw('create type pair as (a int, b text)')
  await knex.raw('create domain kind_id as uuid')
  await knex.raw(`create table kinds (id kind_id primary key default gen_random_uuid(), f float8, big bigint, num numeric,
    bin bytea, j json, m mood, p pair, r int4range, ts timestamptz, d date, i interval, ip inet, ar int[], x xml, b bit(3),
    g int generated always as (1) stored)`)
  await auditTable(knex, 'kinds')
  await knex.raw(`insert into kinds (f, big, num, bin, j, m, p, r, ts, d, i, ip, ar, x, b) values ('NaN', 9223372036854775807,
    'Infinity', '\\\\x00ff', '{"a": 1, "a": 2}', 'ok', row(1, 'x'), '[1,5)', 'infinity', '2026-01-01', '1 day', '10.0.0.0/8',
    '{1,null}', '<a/>', b'101')`)
  await knex('kinds').update({ f: 1.5, j: '{"a":3}', m: 'bad' })
  const [created, updated] = await database.rows({ resourceType: 'kinds' })
  expect(created?.newValues).toMatchObject({ f: 'NaN', num: 'Infinity', ts: 'infinity', p: { a: 1, b: 'x' }, g: 1 })
  expect(updated?.newValues).toEqual({ f: 1.5, j: { a: 3 }, m: 'bad' })
})
