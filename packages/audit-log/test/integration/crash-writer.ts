import Knex from 'knex'
import { writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { createAuditLog } from '../../src/index.ts'
import { postgresAuditStore } from '../../src/objection/index.ts'

/** Writes without end: changes with their rows in one transaction, and events of their own; it is there to be killed. */
const [, , url = '', round = ''] = process.argv
const knex = Knex({ client: 'pg', connection: url, pool: { min: 0, max: 6 } })
const audit = createAuditLog({ store: postgresAuditStore({ knex }), source: 'crash' })

async function transfer(id: string): Promise<void> {
  const account = 1 + Math.floor(Math.random() * 50)
  await knex.transaction(async transaction => {
    await transaction('accounts').where({ id: account }).increment('n', 1)
    await transaction('transfers').insert({ id })
    await audit.record({ action: 'transfer.made', resource: { type: 'transfer', id } }, { transaction })
    if (Math.random() < 0.1) throw new Error('changed my mind')
  })
}

async function repeat(name: string, step: (id: string) => Promise<void>): Promise<never> {
  for (let i = 0; ; i++) {
    // A database that is down answers with errors until it is back.
    await step(`${round}-${name}-${i}`).catch(() => pause(5))
  }
}

const acknowledged = async (id: string): Promise<void> => {
  const eventId = await audit.recordDurably({ action: 'event.alone', resource: { type: 'event', id } })
  writeSync(3, `${eventId}\n`)
}

await Promise.all([
  ...Array.from({ length: 4 }, (_, i) => repeat(`t${i}`, transfer)),
  ...Array.from({ length: 8 }, (_, i) => repeat(`e${i}`, acknowledged)),
])
