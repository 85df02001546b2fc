import type { Knex } from 'knex'
import { Model } from 'objection'
import { expectTypeOf, test } from 'vitest'
import { createAuditLog, type AuditLog, type AuditRow } from '../src/index.ts'
import { audited, auditTable, postgresAuditStore } from '../src/objection/index.ts'

declare const knex: Knex
declare const transaction: Knex.Transaction
const audit = createAuditLog({ store: postgresAuditStore({ knex }), sinks: [], source: 'types' })

class Document extends audited(Model) {
  static override tableName = 'documents'
  declare id: number
  declare status: string
}

test('record needs the transaction of the change', async () => {
  expectTypeOf(audit).toEqualTypeOf<AuditLog<Knex.Transaction>>()
  expectTypeOf(audit.record({ action: 'a.b' }, { transaction })).toEqualTypeOf<Promise<string>>()
  // @ts-expect-error: without one it would not commit with anything
  await audit.record({ action: 'a.b' })
  // @ts-expect-error: without one it would not commit with anything
  await audit.record({ action: 'a.b' }, {})
  // @ts-expect-error: a knex is no transaction
  await audit.record({ action: 'a.b' }, { transaction: knex })
})

test('events say what they are about in known words', async () => {
  // @ts-expect-error: what happened is not optional
  await audit.recordDurably({ resource: { type: 'x' } })
  // @ts-expect-error: no such outcome
  await audit.recordDurably({ action: 'a.b', outcome: 'ok' })
  // @ts-expect-error: no such policy
  await audit.recordDurably({ action: 'a.b' }, { onFailure: 'ignore' })
  // @ts-expect-error: no such actor
  await audit.run({ actor: { id: 'u', type: 'robot' } }, async () => 1)
})

test('a query that work returns is run and its result awaited', () => {
  expectTypeOf(audit.run({}, () => Document.query().findById(1))).toEqualTypeOf<Promise<Document | undefined>>()
  expectTypeOf(audit.run({}, () => 1)).toEqualTypeOf<number>()
  expectTypeOf(audit.run({}, async () => 'x')).toEqualTypeOf<Promise<string>>()
})

test('an audited model keeps its types', async () => {
  expectTypeOf<InstanceType<typeof Document>>().toHaveProperty('status')
  // @ts-expect-error: no such column
  await Document.query().patch({ nothing: 1 })
})

test('rows are read as they are stored', () => {
  expectTypeOf(audit.query()).toEqualTypeOf<AsyncIterable<AuditRow>>()
  // @ts-expect-error: no such filter
  audit.query({ user: 'u1' })
  // @ts-expect-error: no such policy
  expectTypeOf(auditTable(knex, 'documents', { hide: ['x'] })).toEqualTypeOf<Promise<void>>()
})
