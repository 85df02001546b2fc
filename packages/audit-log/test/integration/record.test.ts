import type { Knex } from 'knex'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuditEvent } from '../../src/index.ts'
import { uuidv7 } from '../../src/uuid.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

let database: AuditedDatabase
let knex: Knex

beforeAll(async () => {
  database = await auditedDatabase()
  knex = database.knex
})

afterAll(() => database.close())

test('all of an event and of its context is stored and read back', async () => {
  const event: AuditEvent = {
    id: uuidv7(),
    action: 'document.publish',
    resource: { type: 'document', id: '1', repr: 'Minutes' },
    outcome: 'denied',
    severity: 'critical',
    message: 'four eyes',
    request: { method: 'POST', path: '/documents/:id', data: { a: [1] }, status: 403, durationMs: 12.4 },
    oldValues: { status: 'draft' },
    newValues: { status: 'published' },
    metadata: { reason: 'x' },
  }
  const context = {
    actor: { id: 'u1', type: 'user', impersonatorId: 'root' },
    correlationId: 'c1',
    causationId: 'p1',
    sessionId: 's1',
    ip: '::1',
    userAgent: 'curl',
    tenantId: 't1',
  } as const
  const id = await database.audit.run(context, () =>
    knex.transaction(transaction => database.audit.record(event, { transaction })),
  )
  const [row] = await database.rows({ resourceType: 'document', resourceId: '1' })
  expect(row).toEqual({
    id,
    createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
    action: 'document.publish',
    outcome: 'denied',
    severity: 'critical',
    actorType: 'user',
    userId: 'u1',
    impersonatorId: 'root',
    sessionId: 's1',
    ipAddress: '::1',
    userAgent: 'curl',
    tenantId: 't1',
    correlationId: 'c1',
    causationId: 'p1',
    resourceType: 'document',
    resourceId: '1',
    resourceRepr: 'Minutes',
    requestMethod: 'POST',
    requestPath: '/documents/:id',
    requestData: { a: [1] },
    responseStatus: 403,
    durationMs: 12,
    oldValues: { status: 'draft' },
    newValues: { status: 'published' },
    metadata: { reason: 'x' },
    message: 'four eyes',
    source: 'test',
  })
  expect(id).toBe(event.id)
})

test('an event recorded in a transaction is there with its commit and not before', async () => {
  const transaction = await knex.transaction()
  await database.audit.record({ action: 'in.transaction' }, { transaction })
  expect(await database.rows({ action: 'in.transaction' })).toEqual([])
  await transaction.commit()
  expect(await database.rows({ action: 'in.transaction' })).toHaveLength(1)
  await expect(database.audit.record({ action: 'too.late' }, { transaction })).rejects.toMatchObject({
    code: 'AUDIT_TRANSACTION_REQUIRED',
  })
})

test.each([[() => undefined], [() => knex], [() => ({})], [() => null]])(
  'without an open transaction record refuses (%#)',
  async notOne => {
    const transaction = notOne() as Knex.Transaction
    await expect(database.audit.record({ action: 'x.y' }, { transaction })).rejects.toMatchObject({
      code: 'AUDIT_TRANSACTION_REQUIRED',
    })
  },
)

test('an event recorded twice under one id is stored once', async () => {
  const id = uuidv7()
  await database.audit.recordDurably({ id, action: 'once.only', message: 'first' })
  await database.audit.recordDurably({ id, action: 'once.only', message: 'second' })
  expect((await database.rows({ action: 'once.only' })).map(row => row.message)).toEqual(['first'])
})

test('an id that is no UUID of version 7 is refused', async () => {
  await expect(database.audit.recordDurably({ id: 'x', action: 'a.b' })).rejects.toMatchObject({
    code: 'AUDIT_EVENT_INVALID',
    field: 'id',
  })
})

test('an event whose month has no partition is refused and named', async () => {
  const id = '0000e9d0-5019-76e1-84b7-8eece4112b6b'
  await expect(database.audit.recordDurably({ id, action: 'long.ago' })).rejects.toMatchObject({
    code: 'AUDIT_NOT_DURABLE',
    eventId: id,
  })
})

test('a thousand events at once are all stored, in a few inserts', async () => {
  const inserts: string[] = []
  const count = ({ sql }: { sql: string }) => {
    if (sql.startsWith('insert')) inserts.push(sql)
  }
  knex.on('query', count)
  const ids = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => database.audit.recordDurably({ action: 'mass.event', metadata: { i } })),
  )
  knex.removeListener('query', count)
  const rows = await database.rows({ action: 'mass.event' })
  expect(rows.map(row => row.id)).toEqual(ids)
  expect(inserts).toHaveLength(10)
})

function deep(levels: number): unknown {
  let value: unknown = 'bottom'
  for (let i = 0; i < levels; i++) value = { value }
  return value
}

const cyclic: Record<string, unknown> = {}
cyclic.self = cyclic

const hostile: Record<string, unknown> = {
  NUL: 'a\u0000b',
  'NUL in a key': { 'a\u0000b': 1 },
  'a lone surrogate': '\ud800 x',
  'a lone surrogate in a key': { '\udfff': 1 },
  BigInt: 2n ** 200n,
  'an unsafe integer': 2 ** 53 + 2,
  NaN: NaN,
  'minus zero': -0,
  'a number out of range': Number('1e400'),
  'a cycle': cyclic,
  'depth 10,000': deep(10_000),
  'a text of 50 MB': 'x'.repeat(50_000_000),
  'a getter that throws': {
    get bad(): never {
      throw new Error('getter')
    },
  },
  'toJSON that throws': {
    toJSON() {
      throw new Error('toJSON')
    },
  },
  'a Proxy that throws': new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('trap')
      },
    },
  ),
  'a Buffer': Buffer.from([0, 1, 2]),
  'a Map': new Map<unknown, unknown>([[{}, 1]]),
  'a class instance': new (class Thing {
    secret = 1
  })(),
  'a symbol': Symbol('x'),
  undefined: undefined,
  'an invalid date': new Date(NaN),
}

test.each(Object.keys(hostile))('%s in any field fails no record', async name => {
  const value = hostile[name]
  const text = (typeof value === 'string' ? value : name) + '\u0000\ud800'
  const event: AuditEvent = {
    action: 'hostile.value',
    resource: { type: text, id: text, repr: text },
    message: text,
    request: { method: text, path: text, data: value, status: 1e9, durationMs: Number('1e400') },
    oldValues: { value },
    newValues: { value },
    metadata: { value },
  }
  await database.audit.run({ actor: { id: text, type: 'user' }, correlationId: text, userAgent: text }, async () => {
    await knex.transaction(async transaction => {
      await database.audit.record(event, { transaction })
    })
    await database.audit.recordDurably(event)
  })
  const rows = await database.rows({ action: 'hostile.value' })
  expect(rows.length % 2).toBe(0)
  expect(JSON.stringify(rows.at(-1)).length).toBeLessThan(500_000)
})

test('a password passed by mistake does not reach the log', async () => {
  await database.audit.recordDurably({
    action: 'secret.test',
    message: 'login with Bearer abcdefghijklmnopqrstuvwxyz012345',
    metadata: { password: 'hunter2-hunter2', list: [{ authorization: 'Basic aHVudGVyMjpodW50ZXIy' }] },
  })
  const stored = JSON.stringify(await database.rows({ action: 'secret.test' }))
  expect(stored).toContain('secret.test')
  for (const secret of ['hunter2', 'aHVudGVyMjpodW50ZXIy', 'abcdefghijklmnopqrstuvwxyz']) {
    expect(stored).not.toContain(secret)
  }
})
