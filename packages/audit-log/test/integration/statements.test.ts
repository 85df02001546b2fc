import type { Knex } from 'knex'
import { Model } from 'objection'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { audited, auditTable } from '../../src/objection/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

class Tag extends audited(Model) {
  static override tableName = 'tags'
  declare id: number
  declare name: string
}

class Post extends audited(Model) {
  static override tableName = 'posts'
  declare id: number
  declare title: string
  declare n: number
  declare tags?: Tag[]

  static override get relationMappings() {
    return {
      tags: {
        relation: Model.ManyToManyRelation,
        modelClass: Tag,
        join: { from: 'posts.id', through: { from: 'post_tags.post_id', to: 'post_tags.tag_id' }, to: 'tags.id' },
      },
    }
  }
}

let database: AuditedDatabase
let knex: Knex
let seen: number

beforeAll(async () => {
  database = await auditedDatabase()
  knex = database.knex
  await knex.raw('create table posts (id serial primary key, title text unique, n int default 0)')
  await knex.raw('create table tags (id serial primary key, name text)')
  await knex.raw(`create table post_tags (post_id int references posts on delete cascade,
    tag_id int references tags on delete cascade, primary key (post_id, tag_id))`)
  await auditTable(knex, 'posts', { resourceType: 'post' })
  await auditTable(knex, 'tags', { resourceType: 'tag' })
  await auditTable(knex, 'post_tags', { resourceType: 'post_tag' })
  Model.knex(knex)
})

afterAll(() => database.close())

beforeEach(async () => {
  await knex.raw('truncate posts, tags, post_tags restart identity')
  await knex('posts').insert([{ title: 'one' }, { title: 'two' }, { title: 'three' }])
  await knex('tags').insert([{ name: 'red' }, { name: 'blue' }])
  await knex('post_tags').insert({ post_id: 1, tag_id: 1 })
  seen = (await database.rows()).length
})

const byActor = <T>(work: () => T): T => database.audit.run({ actor: { id: 'ada', type: 'user' } }, work)

/** What was recorded since the test began; every row must be Ada's. */
async function recorded(): Promise<unknown[]> {
  const rows = (await database.rows()).slice(seen)
  expect(new Set(rows.map(row => row.userId))).toEqual(new Set(['ada']))
  return rows.map(row => [row.action, row.resourceId, row.oldValues, row.newValues])
}

const update = (id: number, from: unknown, to: unknown) => ['post.update', String(id), { n: from }, { n: to }]

const statements: Record<string, [work: () => PromiseLike<unknown>, rows: unknown[]]> = {
  'Objection insert': [
    () => Post.query().insert({ title: 'new' }),
    [['post.create', '4', null, { id: 4, title: 'new', n: 0 }]],
  ],
  'Objection patch of many': [
    () => Post.query().patch({ n: 5 }).where('id', '<', 3),
    [update(1, 0, 5), update(2, 0, 5)],
  ],
  'Objection patch of an instance': [
    async () => (await Post.query().findById(2).throwIfNotFound()).$query().patch({ n: 9 }),
    [update(2, 0, 9)],
  ],
  'Objection update': [() => Post.query().findById(1).update({ title: 'one', n: 3 }), [update(1, 0, 3)]],
  'Objection increment': [() => Post.query().findById(3).increment('n', 2), [update(3, 0, 2)]],
  'Objection delete': [() => Post.query().deleteById(3), [['post.delete', '3', { id: 3, title: 'three', n: 0 }, null]]],
  'Objection patchAndFetchById': [() => Post.query().patchAndFetchById(1, { n: 4 }), [update(1, 0, 4)]],
  'relate and unrelate': [
    async () => {
      await Post.relatedQuery('tags').for(2).relate(2)
      await Post.relatedQuery('tags').for(2).unrelate()
    },
    [
      ['post_tag.create', '[2, 2]', null, { post_id: 2, tag_id: 2 }],
      ['post_tag.delete', '[2, 2]', { post_id: 2, tag_id: 2 }, null],
    ],
  ],
  upsertGraph: [
    () =>
      Post.query().upsertGraph({ id: 1, n: 1, tags: [{ id: 2 }, { name: 'green' }] }, { relate: true, unrelate: true }),
    [
      ['post_tag.delete', '[1, 1]', { post_id: 1, tag_id: 1 }, null],
      ['tag.create', '3', null, { id: 3, name: 'green' }],
      update(1, 0, 1),
      ['post_tag.create', '[1, 2]', null, { post_id: 1, tag_id: 2 }],
      ['post_tag.create', '[1, 3]', null, { post_id: 1, tag_id: 3 }],
    ],
  ],
  insertGraph: [
    () => Post.query().insertGraph({ title: 'graph', tags: [{ name: 'x' }] }, { relate: true }),
    [
      ['tag.create', '3', null, { id: 3, name: 'x' }],
      ['post.create', '4', null, { id: 4, title: 'graph', n: 0 }],
      ['post_tag.create', '[4, 3]', null, { post_id: 4, tag_id: 3 }],
    ],
  ],
  'a cascade': [
    () => knex('posts').where({ id: 1 }).delete(),
    [
      ['post_tag.delete', '[1, 1]', { post_id: 1, tag_id: 1 }, null],
      ['post.delete', '1', { id: 1, title: 'one', n: 0 }, null],
    ],
  ],
  'knex batchInsert': [
    () => knex.batchInsert('tags', [{ name: 'a' }, { name: 'b' }], 1),
    [
      ['tag.create', '3', null, { id: 3, name: 'a' }],
      ['tag.create', '4', null, { id: 4, name: 'b' }],
    ],
  ],
  'insert on conflict update': [
    () => knex('posts').insert({ title: 'two', n: 7 }).onConflict('title').merge(),
    [update(2, 0, 7)],
  ],
  'insert on conflict nothing': [
    async () => {
      await knex('posts').insert({ title: 'two', n: 7 }).onConflict('title').ignore()
      await knex('posts').where({ id: 1 }).update({ n: 1 })
    },
    [update(1, 0, 1)],
  ],
  merge: [
    () =>
      knex.raw(`merge into posts using (values ('one'), ('four')) as s (title) on posts.title = s.title
        when matched then update set n = 8 when not matched then insert (title) values (s.title)`),
    [update(1, 0, 8), ['post.create', '4', null, { id: 4, title: 'four', n: 0 }]],
  ],
  'a data-modifying WITH': [
    () =>
      knex.raw(
        'with gone as (delete from tags returning id) update posts set n = (select count(*) from gone) where id = 1',
      ),
    [
      ['tag.delete', '1', { id: 1, name: 'red' }, null],
      ['tag.delete', '2', { id: 2, name: 'blue' }, null],
      update(1, 0, 2),
      ['post_tag.delete', '[1, 1]', { post_id: 1, tag_id: 1 }, null],
    ],
  ],
  'several statements in one text': [
    () => knex.raw('update posts set n = 1 where id = 1; update posts set n = 2 where id = 2'),
    [update(1, 0, 1), update(2, 0, 2)],
  ],
  'a function': [
    async () => {
      await knex.raw(`create or replace function touch(which int) returns void language plpgsql as
        $$ begin update posts set n = 6 where id = which; perform 1; end $$`)
      await knex.raw('select touch(?)', [2])
    },
    [update(2, 0, 6)],
  ],
  'PREPARE and EXECUTE': [
    () =>
      knex.transaction(async trx => {
        await trx.raw('prepare set_n (int) as update posts set n = $1 where id = 1')
        await trx.raw('execute set_n (3)')
        await trx.raw('deallocate set_n')
      }),
    [update(1, 0, 3)],
  ],
}

test.each(Object.keys(statements))('%s is recorded', async name => {
  const [work, rows] = statements[name] ?? []
  await byActor(async () => {
    await work?.()
  })
  const found = await recorded()
  expect(found).toHaveLength(rows?.length ?? 0)
  expect(found).toEqual(expect.arrayContaining(rows ?? []))
})

test('truncate is recorded for each table it empties', async () => {
  await byActor(async () => {
    await knex.raw('truncate tags cascade')
  })
  const rows = (await database.rows()).slice(seen)
  expect(rows.map(row => [row.action, row.severity, row.userId, row.metadata])).toEqual([
    ['tag.truncate', 'warn', 'ada', { table: 'public.tags' }],
    ['post_tag.truncate', 'warn', 'ada', { table: 'public.post_tags' }],
  ])
})

test('a client that knows nothing of the audit log is recorded, with the database role that did it', async () => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(`update posts set n = 1 where id = 1`)
  await client.query('copy tags (name) from program $$echo copied$$')
  await client.end()
  const rows = (await database.rows()).slice(seen)
  expect(rows.map(row => [row.action, row.userId])).toEqual([
    ['post.update', null],
    ['tag.create', null],
  ])
  const { rows: written } = await knex.raw<{ rows: { created_by: string }[] }>(
    'select distinct created_by from audit_logs where id = ?',
    [rows[0]?.id ?? ''],
  )
  expect(written).toEqual([{ created_by: new URL(database.url).username }])
})

test('a statement that changes nothing records nothing', async () => {
  await byActor(async () => {
    await knex('posts').update({ n: 0 })
    await knex('posts').where({ id: 99 }).update({ n: 1 })
    await knex('posts').where({ id: 99 }).delete()
  })
  expect((await database.rows()).slice(seen)).toEqual([])
})

test('a rolled back change leaves no row, a rolled back savepoint none of its own', async () => {
  await byActor(async () => {
    const failing = knex.transaction(async trx => {
      await trx('posts').where({ id: 1 }).update({ n: 1 })
      await database.audit.record({ action: 'post.touch' }, { transaction: trx })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await knex.transaction(async trx => {
      await trx('posts').where({ id: 1 }).update({ n: 2 })
      await trx
        .transaction(async inner => {
          await inner('posts').where({ id: 2 }).update({ n: 3 })
          await database.audit.record({ action: 'post.inner' }, { transaction: inner })
          throw new Error('inner')
        })
        .catch(() => undefined)
      await trx('posts').where({ id: 3 }).update({ n: 4 })
    })
  })
  expect(await recorded()).toEqual([update(1, 0, 2), update(3, 0, 4)])
})

test('fifty writers at once leave one row for each change, in the order of each record', async () => {
  await Promise.all(
    Array.from({ length: 50 }, () =>
      byActor(() =>
        knex.transaction(async trx => {
          await trx('posts').where({ id: 1 }).increment('n', 1)
          await trx('tags').insert({ name: 'w' })
        }),
      ),
    ),
  )
  const found = (await recorded()) as [string, string, { n: number } | null, { n: number } | null][]
  const counts = found.filter(([action]) => action === 'post.update').map(([, , old, fresh]) => [old?.n, fresh?.n])
  expect(counts).toEqual(Array.from({ length: 50 }, (_, i) => [i, i + 1]))
  expect(found.filter(([action]) => action === 'tag.create')).toHaveLength(50)
})
