import Knex from 'knex'
import { startPostgres, createDatabase } from './support/postgres.ts'
import { createAuditLog } from '@countersign/audit-log'
import { auditTable, migrations, postgresAuditStore, carryAuditContext } from '@countersign/audit-log/objection'
const server = await startPostgres({ durable: true, settings: { shared_buffers: '512MB' } })
try {
  const database = await createDatabase(server.url)
  const plain = Knex({ client: 'pg', connection: database.url, pool: { min: 1, max: 1 } })
  const knex = Knex({ client: 'pg', connection: database.url, pool: { min: 1, max: 1 } })
  await knex.migrate.latest(migrations())
  const audit = createAuditLog({ store: postgresAuditStore({ knex }), source: 'bench' })
  const cols = Array.from({ length: 15 }, (_, i) => `c${i} text default 'some value of column ${i}'`).join(', ')
  for (const t of ['plain_t', 'audited_t']) {
    await knex.raw(
      `create table ${t} (id int primary key, title text, n int default 0, updated timestamptz default now(), ${cols})`,
    )
    await knex.raw(`insert into ${t} (id, title) select g, 'title ' || g from generate_series(1, 1000) g`)
  }
  await auditTable(knex, 'audited_t')
  const ctx = {
    actor: { id: 'u1-9f2c3c9a-aaaa', type: 'user' as const },
    correlationId: '01a20e9d-5019-76e1-84b7-8eece4112b6b',
    ip: '10.0.0.1',
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
    sessionId: 'abcdef0123456789',
  }
  async function rate(name: string, work: (i: number) => Promise<unknown>, n = 3000) {
    for (let i = 0; i < 300; i++) await work(i)
    const t = performance.now()
    for (let i = 0; i < n; i++) await work(i)
    const r = n / ((performance.now() - t) / 1000)
    console.log(name.padEnd(40), r.toFixed(0))
    return r
  }
  for (let k = 0; k < 4; k++) {
    const a = await rate('plain update', i =>
      plain('plain_t')
        .where({ id: (i % 1000) + 1 })
        .update({ n: i + k, title: 'x' + i + k }),
    )
    const b = await rate('audited update in context', i =>
      audit.run(ctx, () =>
        knex('audited_t')
          .where({ id: (i % 1000) + 1 })
          .update({ n: i + k, title: 'x' + i + k }),
      ),
    )
    const b2 = await rate('audited update no context', i =>
      knex('audited_t')
        .where({ id: (i % 1000) + 1 })
        .update({ n: i + k, title: 'y' + i + k }),
    )
    const c = await rate(
      'orm way',
      i =>
        plain.transaction(async trx => {
          const old = await trx('plain_t')
            .where({ id: (i % 1000) + 1 })
            .forUpdate()
            .first()
          await trx('plain_t')
            .where({ id: (i % 1000) + 1 })
            .update({ n: i + k, title: 'z' + i + k })
          await trx('audit_logs').insert({
            id: '01a20e9d-5019-76e1-84b7-' + (k * 10000 + i).toString(16).padStart(12, '0'),
            created_at: new Date().toISOString(),
            action: 'x.update',
            resource_type: 'x',
            resource_id: String(i),
            user_id: 'u1',
            old_values: JSON.stringify({ n: old.n, title: old.title }),
            new_values: JSON.stringify({ n: i, title: 'z' }),
          })
        }),
      1500,
    )
    console.log('ratio to plain', (b / a).toFixed(2), 'to ORM', (b / c).toFixed(2), 'nocontext', (b2 / a).toFixed(2))
  }
  for (const rows of [1, 100, 1000, 3000]) {
    for (const t of ['plain_t', 'audited_t']) {
      const data = Array.from({ length: rows }, (_, i) => ({ id: 100000 + i, title: 't' + i }))
      let best = Infinity
      for (let k = 0; k < 5; k++) {
        const s = performance.now()
        await audit.run(ctx, () => knex(t).insert(data))
        best = Math.min(best, performance.now() - s)
        await knex(t).where('id', '>=', 100000).delete()
      }
      console.log(t, rows, 'rows insert', ((best * 1000) / rows).toFixed(1), 'us/row')
    }
  }
  // literal SQL of 10 MB
  for (const rows of [3000])
    for (const pad of [100, 1000, 3000]) {
      const sql = (t: string) =>
        `insert into ${t} (id, title) values ` +
        Array.from({ length: rows }, (_, i) => `(${200000 + i}, '${'x'.repeat(pad)}')`).join(',')
      for (const t of ['plain_t', 'audited_t']) {
        const q = sql(t)
        const s = performance.now()
        await audit.run(ctx, () => knex.raw(q))
        console.log(
          t,
          'literal',
          (q.length / 1e6).toFixed(1),
          'MB',
          (((performance.now() - s) * 1000) / rows).toFixed(1),
          'us/row',
        )
        await knex(t).where('id', '>=', 100000).delete()
      }
    }
  const us = await knex.raw(`update audited_t set n = n + 1`).then(() => 0)
  await knex.raw(
    `create or replace function spin() returns void language plpgsql as $$ begin for i in 1..20000 loop update audited_t set n = n + 1 where id = 5; end loop; end $$`,
  )
  await knex.raw(
    `create or replace function spin2() returns void language plpgsql as $$ begin for i in 1..20000 loop update plain_t set n = n + 1 where id = 5; end loop; end $$`,
  )
  for (const f of ['spin2', 'spin']) {
    const s = performance.now()
    await audit.run(ctx, () => knex.raw(`select ${f}()`))
    console.log(f, ((performance.now() - s) / 20).toFixed(1), 'us/row')
  }
  for (const t of ['plain_t', 'audited_t']) {
    const s = performance.now()
    await audit.run(ctx, () => knex.raw(`update ${t} set n = n + 1, title = title || 'a'`))
    console.log(t, 'bulk update', (performance.now() - s).toFixed(1), 'us/row')
  }
  await plain.destroy()
  await audit.close()
  await knex.destroy()
} finally {
  await server.stop()
}
