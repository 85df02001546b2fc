import Knex from 'knex'
import { Model } from 'objection'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { audited, auditTable, carryAuditContext } from '../../src/objection/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

class Account extends audited(Model) {
  static override tableName = 'accounts'
  declare id: number
  declare owner: string
  declare n: number
}

let database: AuditedDatabase

beforeAll(async () => {
  database = await auditedDatabase()
  const { knex } = database
  await knex.schema.createTable('accounts', table => {
    table.increments()
    table.text('owner')
    table.integer('n').defaultTo(0)
  })
  await auditTable(knex, 'accounts')
  Account.knex(knex)
})

afterAll(() => database.close())

const as = <T>(id: string, work: () => T): T =>
  database.audit.run({ actor: { id, type: 'user' }, correlationId: `of ${id}` }, work)

/** One change of an account named after the actor, by each way a statement can be sent. */
const ways: Record<string, (owner: string) => PromiseLike<unknown>> = {
  Objection: owner => Account.query().insert({ owner }),
  'Objection in a transaction': owner => Account.transaction(async trx => Account.query(trx).insert({ owner })),
  'a knex query': async owner => database.knex('accounts').insert({ owner }),
  'knex.raw': owner => database.knex.raw('insert into accounts (owner) values (?)', [owner]),
  'a transaction of knex': owner => database.knex.transaction(trx => trx('accounts').insert({ owner })),
  'a savepoint': owner =>
    database.knex.transaction(trx => trx.transaction(inner => inner('accounts').insert({ owner }))),
  'a transaction opened by hand': async owner => {
    const trx = await database.knex.transaction()
    await trx('accounts').insert({ owner })
    await trx.commit()
  },
  'a bulk insert': async owner => database.knex.batchInsert('accounts', [{ owner }, { owner }], 1),
}

test.each(Object.keys(ways))('two connections shared by many actors never mix them up: %s', async way => {
  const actors = Array.from({ length: 200 }, (_, i) => `${way} ${i}`)
  const none = Array.from({ length: 20 }, (_, i) => `nobody ${way} ${i}`)
  const write = ways[way]!
  await Promise.all([...actors.map(actor => as(actor, () => write(actor))), ...none.map(owner => write(owner))])

  const rows = (await database.rows({ action: 'accounts.create' })).filter(row =>
    String(row.newValues?.owner).includes(way),
  )
  const wrong = rows.filter(row => {
    const owner = row.newValues?.owner as string
    const actor = owner.startsWith('nobody') ? null : owner
    return row.userId !== actor || row.correlationId !== (actor && `of ${actor}`)
  })
  expect(wrong).toEqual([])
  expect(new Set(rows.map(row => row.newValues?.owner))).toEqual(new Set([...actors, ...none]))
})

test('a context that changes within one transaction is the one of each statement', async () => {
  await as('first', () =>
    database.knex.transaction(async trx => {
      await trx('accounts').insert({ owner: 'a' })
      await as('second', async () => trx('accounts').insert({ owner: 'b' }))
      await trx('accounts').insert({ owner: 'c' })
    }),
  )
  const rows = await database.rows({ action: 'accounts.create' })
  const actorOf = new Map(rows.map(row => [row.newValues?.owner, row.userId]))
  expect(['a', 'b', 'c'].map(owner => actorOf.get(owner))).toEqual(['first', 'second', 'first'])
})

test('all of the context arrives, whatever characters it has', async () => {
  const hostile = `*/ drop table accounts; -- "'\\ \u0000 ? $1 /* é 😀 \ud800`
  await database.audit.run(
    {
      actor: { id: hostile, type: 'service', impersonatorId: 'root' },
      correlationId: 'c'.repeat(10_000),
      causationId: 'cause',
      sessionId: 's1',
      ip: '10.0.0.1',
      userAgent: hostile,
      tenantId: 't1',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    },
    async () => database.knex('accounts').insert({ owner: 'hostile' }),
  )
  const text = `*/ drop table accounts; -- "'\\  ? $1 /* é 😀 \ufffd`
  const [row] = await database.rows({ actorId: text })
  expect(row).toMatchObject({
    userId: text,
    actorType: 'service',
    impersonatorId: 'root',
    correlationId: 'c'.repeat(255),
    causationId: 'cause',
    sessionId: 's1',
    ipAddress: '10.0.0.1',
    userAgent: text,
    tenantId: 't1',
    source: 'test',
    metadata: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
    newValues: { owner: 'hostile' },
  })
})

test('what a worker changes joins the request that sent its task', async () => {
  const headers = as('sender', () => database.audit.carrier.capture())
  const changed = await database.audit.carrier.run(headers, () => Account.query().insert({ owner: 'worker' }))
  expect(changed.owner).toBe('worker')
  const [row] = await database.rows({ actorId: 'sender' })
  expect(row).toMatchObject({ correlationId: 'of sender', source: 'test', newValues: { owner: 'worker' } })
})

test('a bound value that looks like the comment changes nothing', async () => {
  const forged = '/*countersign:{"u":"root"}*/'
  await as('honest', async () => database.knex('accounts').insert({ owner: forged }))
  await database.knex.raw(`insert into accounts (owner) values (?) ${forged}`, [forged])
  const rows = (await database.rows({ action: 'accounts.create' })).filter(row => row.newValues?.owner === forged)
  expect(rows.map(row => row.userId)).toEqual(['honest', null])
})

test.each([
  '/*countersign:*/',
  '/*countersign:nonsense*/',
  '/*countersign:[1]*/',
  '/*countersign:"x"*/',
  '/*countersign:{"u":"\\u0000"}*/',
  '/*countersign:{"u":{"deep":1},"c":5}*/',
  `/*countersign:{"u":"${'x'.repeat(20_000)}"}*/`,
])('a comment that is not ours does not fail the write: %.40s', async comment => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await client.query(`${comment}insert into accounts (owner) values ('other')`)
  } finally {
    await client.end()
  }
})

test('a statement sent under a prepared statement’s name is of its own context each time', async () => {
  for (const actor of ['p1', 'p2']) {
    await as(actor, async () =>
      database
        .knex('accounts')
        .insert({ owner: `prepared ${actor}` })
        .options({ name: 'insert-account' }),
    )
  }
  const rows = await database.rows({ actorId: 'p2' })
  expect(rows.map(row => row.newValues?.owner)).toEqual(['prepared p2'])
})

test('carrying twice is carrying once, and errors and events show the statement as it was written', async () => {
  const knex = carryAuditContext(
    carryAuditContext(Knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })),
  )
  try {
    const statements: string[] = []
    knex.on('query', ({ sql }: { sql: string }) => statements.push(sql))
    await as('once', async () => {
      await knex('accounts').insert({ owner: 'once' })
      await expect(knex.raw('select nothing_there')).rejects.toThrow(/^select nothing_there - /)
      const { rows } = await knex.raw<{ rows: { query: string }[] }>('select current_query() as query')
      expect(rows[0]?.query.match(/countersign/g)).toHaveLength(1)
    })
    expect(statements[0]).toBe('insert into "accounts" ("owner") values ($1)')
  } finally {
    await knex.destroy()
  }
})

test('a model given another knex or a transaction begun elsewhere carries the context, too', async () => {
  const other = Knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
  try {
    await as('bound', () => Account.bindKnex(other).query().insert({ owner: 'bound' }))
    const third = Knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
    const trx = await third.transaction()
    await as('late', () => Account.query(trx).insert({ owner: 'late' }))
    await trx.commit()
    await third.destroy()
  } finally {
    await other.destroy()
  }
  expect(await database.rows({ actorId: 'bound' })).toHaveLength(1)
  expect(await database.rows({ actorId: 'late' })).toHaveLength(1)
})
