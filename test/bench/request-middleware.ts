// node test/bench/request-middleware.ts
// Requests per second of one Koa app with and without `koaAudit`, its rows durable in PostgreSQL with fsync on. The app
// reads a session and changes a row in a transaction. Both run in this process in turns, so that load from elsewhere meets
// both.
import autocannon from 'autocannon'
import Knex from 'knex'
import Koa from 'koa'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createAuditLog } from '../../packages/audit-log/src/index.ts'
import { koaAudit } from '../../packages/audit-log/src/koa/index.ts'
import { migrations, postgresAuditStore } from '../../packages/audit-log/src/objection/index.ts'
import { startPostgres } from '../support/postgres.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const seconds = Number(process.env.BENCH_SECONDS ?? 3)

const postgres = await startPostgres({ durable: true })
const knex = Knex({ client: 'pg', connection: postgres.url, pool: { min: 0, max: 20 } })
await knex.migrate.latest(migrations())
await knex.schema.createTable('sessions', table => {
  table.text('id').primary()
  table.text('user_id')
})
await knex.schema.createTable('notes', table => {
  table.increments('id')
  table.text('title')
})
await knex('sessions').insert({ id: 's1', user_id: 'u1' })
const audit = createAuditLog({ store: postgresAuditStore({ knex }), source: 'bench' })

async function listen(isAudited: boolean): Promise<string> {
  const app = new Koa()
  app.silent = true
  if (isAudited) app.use(koaAudit({ audit, actor: () => ({ id: 'u1', type: 'user' }) }))
  app.use(async ctx => {
    await knex('sessions').where('id', 's1').first()
    await knex.transaction(transaction => transaction('notes').insert({ title: 'Minutes' }))
    ctx.body = { title: 'Minutes' }
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function rate(url: string, connections: number): Promise<number> {
  const result = await autocannon({ url, method: 'POST', connections, duration: seconds })
  if (result.non2xx + result.errors > 0) throw new Error(`${result.non2xx + result.errors} requests failed`)
  return result.requests.average
}

const [plain, audited] = await Promise.all([listen(false), listen(true)])
for (const connections of [1, 16, 64]) {
  const ratios: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const [without, withRows] = [await rate(plain, connections), await rate(audited, connections)]
    // The first round warms up.
    if (round > 0) ratios.push(withRows / without)
    if (round === rounds)
      console.log(`${connections} clients: ${without.toFixed(0)}/s without, ${withRows.toFixed(0)}/s with`)
  }
  const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? 0
  console.log(
    `${connections} clients: ratio ${median.toFixed(2)} (target 0.6), of ${ratios.map(r => r.toFixed(2)).join(' ')}`,
  )
}
await audit.close()
await postgres.stop()
// Requests whose client has gone may still be under way.
process.exit()
