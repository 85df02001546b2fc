import pg from 'pg'
import Knex from 'knex'
import { startPostgres, createDatabase } from './support/postgres.ts'
import { auditTable, migrations } from '@countersign/audit-log/objection'
const server = await startPostgres({ durable: true, settings: { shared_buffers: '512MB' } })
try {
  const database = await createDatabase(server.url)
  const knex = Knex({ client: 'pg', connection: database.url, pool: { min: 1, max: 1 } })
  await knex.migrate.latest(migrations())
  const cols = Array.from({ length: 15 }, (_, i) => `c${i} text default 'some value of column ${i}'`).join(', ')
  await knex.raw(
    `create table audited_t (id int primary key, title text, n int default 0, updated timestamptz default now(), ${cols})`,
  )
  await auditTable(knex, 'audited_t')
  await knex.destroy()
  const c = new pg.Client({ connectionString: database.url })
  await c.connect()
  const ctx = `/*countersign:{"u":"u1-9f2c3c9a-aaaa","t":"user","c":"01a20e9d-5019-76e1-84b7-8eece4112b6b","a":"10.0.0.1","g":"Mozilla (X11; Linux x86_64) AppleWebKit"}*/`
  await c.query(`insert into audited_t (id, title) select g, 'title ' || g from generate_series(1, 2000) g`)
  async function trig(name: string, sql: string) {
    const times = []
    for (let i = 0; i < 4; i++) {
      await c.query('begin')
      const { rows } = await c.query(ctx + 'explain analyze ' + sql)
      const m = rows
        .map(r => r['QUERY PLAN'])
        .join('\n')
        .match(/Trigger countersign_audit.*: time=([\d.]+) calls=(\d+)/)!
      times.push((Number(m[1]) * 1000) / Number(m[2]))
      await c.query('rollback')
    }
    console.log(name.padEnd(40), Math.min(...times).toFixed(1), 'us/row')
  }
  async function all(name: string) {
    await trig(name + ' update 2 cols', `update audited_t set n = n + 1, title = title || 'x'`)
    await trig(name + ' noop', `update audited_t set n = n`)
    await trig(
      name + ' insert',
      `insert into audited_t (id, title) select g + 10000, 'title ' || g from generate_series(1, 2000) g`,
    )
  }
  const def = async (f: string) =>
    (await c.query(`select pg_get_functiondef('${f}'::regproc) as d`)).rows[0].d as string
  await all('base')
  const base = await def('countersign_audit_change')
  async function variant(name: string, ...edits: [string | RegExp, string][]) {
    let d = base
    for (const [a, b] of edits) {
      if (d.replace(a, b) === d) console.log('NO EDIT', a)
      d = d.replace(a, b)
    }
    await c.query(d)
    await all(name)
  }

  await variant('no ctx', [/context := .*;/, 'context := null;'])
  await variant('no insert', [/context := [\s\S]*return null;\nend/i, 'return null;\nend'])
  await c.query(base)
  for (const ix of ['actor', 'action', 'resource', 'correlation', 'xid']) {
    await c.query(`drop index audit_logs_${ix}`)
    await all('without ' + ix)
  }
  await c.end()
} finally {
  await server.stop()
}
