// The audit program of the design, on PostgreSQL.
import { createAuditLog } from '@countersign/audit-log'
import { audited, auditTable, migrations, postgresAuditStore } from '@countersign/audit-log/objection'
import createKnex from 'knex'
import { Model } from 'objection'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createDatabase } from '../../support/postgres.ts'

class Document extends audited(Model) {
  static override tableName = 'documents'
  declare id: number
  declare status: string
}

const database = await createDatabase(inject('postgresUrl'))
const knex = createKnex({ client: 'pg', connection: database.url })
const audit = createAuditLog({ store: postgresAuditStore({ knex }), sinks: [], source: 'documents' })

beforeAll(async () => {
  await knex.migrate.latest(migrations())
  await knex.schema.createTable('documents', table => {
    table.increments('id')
    table.text('status')
    table.text('iban')
    table.text('search_vector')
  })
  await auditTable(knex, 'documents', { resourceType: 'document', exclude: ['search_vector'], mask: ['iban'] })
  Document.knex(knex)
})
afterAll(async () => {
  await audit.close()
  await knex.destroy()
  await database.drop()
})

test('changes, events with a transaction and events on their own all end in the log', async () => {
  const correlationId = 'request-1'
  await audit.run({ actor: { id: 'u1', type: 'user' }, correlationId }, async () => {
    await Document.query().insert({ id: 1, status: 'draft' })
    await Document.query().patch({ status: 'published' })
    await knex.transaction(transaction =>
      audit.record(
        { action: 'document.publish', resource: { type: 'document', id: '1', repr: 'Minutes' }, metadata: {} },
        { transaction },
      ),
    )
  })
  await audit.recordDurably({ action: 'report.export', resource: { type: 'report', id: 'q3' } })
  class Reports {
    @audit.activity('report.print')
    async print() {
      return 'printed'
    }
  }
  await new Reports().print()

  const actions: string[] = []
  for await (const row of audit.query({ resourceType: 'document', resourceId: '1' })) {
    expect(row).toMatchObject({ userId: 'u1', correlationId })
    actions.push(row.action)
  }
  expect(actions.sort()).toEqual(['document.create', 'document.publish', 'document.update'])
  const others: string[] = []
  for await (const row of audit.query({ resourceType: 'report' })) others.push(row.action)
  for await (const row of audit.query({ action: 'report.print' })) others.push(row.action)
  expect(others).toEqual(['report.export', 'report.print'])
})
