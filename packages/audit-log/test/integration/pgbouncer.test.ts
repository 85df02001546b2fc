import Knex from 'knex'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPgBouncer } from '../../../../test/support/pgbouncer.ts'
import { auditTable, carryAuditContext } from '../../src/objection/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

let database: AuditedDatabase
let bouncer: Awaited<ReturnType<typeof startPgBouncer>>
let pooled: Knex.Knex

beforeAll(async () => {
  database = await auditedDatabase()
  await database.knex.raw('create table accounts (id serial primary key, owner text)')
  await auditTable(database.knex, 'accounts')
  bouncer = await startPgBouncer(database.url)
  pooled = carryAuditContext(Knex({ client: 'pg', connection: bouncer.url, pool: { min: 0, max: 20 } }))
})

afterAll(async () => {
  await pooled.destroy()
  await bouncer.stop()
  await database.close()
})

test('two server connections shared by twenty clients and 300 actors never mix them up', async () => {
  const write = (owner: string, i: number): PromiseLike<unknown> => {
    if (i % 3 === 0) return pooled('accounts').insert({ owner })
    return pooled.transaction(async trx => {
      await trx('accounts').insert({ owner })
      await trx('accounts')
        .where({ owner })
        .update({ owner: `${owner}!` })
      if (i % 3 === 1) throw new Error('changed my mind')
    })
  }
  await Promise.allSettled(
    Array.from({ length: 300 }, (_, i) => {
      const owner = `u${i}`
      if (i % 10 === 0) return write(`nobody ${i}`, i)
      return database.audit.run({ actor: { id: owner, type: 'user' } }, () => write(owner, i))
    }),
  )
  const rows = await database.rows()
  expect(rows).toHaveLength(100 + 2 * 100)
  const wrong = rows.filter(row => {
    const owner = String(row.newValues?.owner).replace('!', '')
    return row.userId !== (owner.startsWith('nobody') ? null : owner)
  })
  expect(wrong).toEqual([])
})
