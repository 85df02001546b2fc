import { createAuditLog } from '@countersign/audit-log'
import { auditTable, migrations, postgresAuditStore } from '@countersign/audit-log/objection'
import Knex from 'knex'
import { createDatabase, startPostgres } from '../support/postgres.ts'

/**
 * What the audit log costs, as ratios of one run, since absolute numbers tell of the machine. The ways compared take turns
 * in short rounds, and the median of the rounds' ratios counts. PostgreSQL flushes as in production.
 */
const rounds = 15
const perRound = 200

const server = await startPostgres({ durable: true, settings: { shared_buffers: '512MB' } })
const { url } = await createDatabase(server.url)
const open = (max: number) => Knex({ client: 'pg', connection: url, pool: { min: 1, max } })
const plain = open(1)
const knex = open(1)
const audit = createAuditLog({ store: postgresAuditStore({ knex }), source: 'bench' })

const context = {
  actor: { id: '01a20e9d-5019-76e1-84b7-8eece4112b6b', type: 'user' },
  correlationId: '01a20e9d-5019-76e1-84b7-8eece4112b6c',
  sessionId: '0f1e2d3c4b5a69788796a5b4c3d2e1f0',
  ip: '192.0.2.17',
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
} as const

async function prepare(): Promise<void> {
  await knex.migrate.latest(migrations())
  for (const table of ['documents_plain', 'documents_audited', 'documents_orm']) {
    await knex.raw(
      `create table ?? (id int primary key, title text, status text default 'draft', n int default 0,
        owner_id uuid default gen_random_uuid(), body text default repeat('some words ', 40), tags text[] default '{a,b}',
        created_at timestamptz default now(), updated_at timestamptz default now())`,
      [table],
    )
    await knex.raw(`insert into ?? (id, title) select i, 'Document ' || i from generate_series(1, 1000) as i`, [table])
  }
  await knex.raw('create table orm_log (like audit_logs including all)')
  await auditTable(knex, 'documents_audited')
}

let turn = 0
const change = () => {
  turn++
  return { id: (turn % 1000) + 1, values: { n: turn, title: `Document ${turn}`, updated_at: new Date() } }
}

async function unaudited(): Promise<void> {
  const { id, values } = change()
  await plain('documents_plain').where({ id }).update(values)
}

async function triggered(): Promise<void> {
  const { id, values } = change()
  await audit.run(context, () => knex('documents_audited').where({ id }).update(values))
}

/** Reads the row, changes it, writes what changed: the way of audit packages that live in the ORM. */
async function ormWay(): Promise<void> {
  const { id, values } = change()
  await plain.transaction(async transaction => {
    const old = (await transaction('documents_orm').where({ id }).forUpdate().first()) as Record<string, unknown>
    await transaction('documents_orm').where({ id }).update(values)
    const changed = Object.fromEntries(Object.keys(values).map(key => [key, old[key]]))
    await transaction('orm_log').insert({ ...logged(String(id)), old_values: changed, new_values: values })
  })
}

function logged(resourceId: string): Record<string, unknown> {
  return {
    id: plain.raw('gen_random_uuid()'),
    created_at: new Date(),
    action: 'documents.update',
    user_id: context.actor.id,
    actor_type: context.actor.type,
    session_id: context.sessionId,
    ip_address: context.ip,
    user_agent: context.userAgent,
    correlation_id: context.correlationId,
    resource_type: 'documents',
    resource_id: resourceId,
    source: 'bench',
  }
}

const event = {
  action: 'report.export',
  resource: { type: 'report', id: 'q3' },
  metadata: { rows: 100, format: 'csv' },
}

const eventsOfCaller = 25

/** 64 callers that each wait for their row to be durable before they record the next. */
async function groupCommit(): Promise<void> {
  await audit.run(context, () =>
    Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let i = 0; i < eventsOfCaller; i++) await audit.recordDurably(event)
      }),
    ),
  )
}

/** The same number of rows, as fast as one connection takes them in inserts of 100. */
async function rawLoop(): Promise<void> {
  for (let i = 0; i < (64 * eventsOfCaller) / 100; i++) {
    const rows = Array.from({ length: 100 }, () => ({
      ...logged('q3'),
      action: event.action,
      resource_type: 'report',
      metadata: event.metadata,
    }))
    await plain('audit_logs').insert(rows)
  }
}

async function timeOf(work: () => Promise<void>, times: number): Promise<number> {
  const start = performance.now()
  for (let i = 0; i < times; i++) await work()
  return (performance.now() - start) / times
}

async function compare(
  name: string,
  floor: number,
  subject: () => Promise<void>,
  base: () => Promise<void>,
  times: number,
) {
  const ratios: number[] = []
  const costs: number[] = []
  for (let round = -1; round < rounds; round++) {
    const subjectMs = await timeOf(subject, times)
    const ratio = (await timeOf(base, times)) / subjectMs
    if (round < 0) continue
    ratios.push(ratio)
    costs.push(subjectMs)
  }
  const ratio = median(ratios)
  const verdict = ratio >= floor ? 'ok' : 'BELOW'
  console.log(`${name.padEnd(52)} ${ratio.toFixed(2)}  (at least ${floor}: ${verdict})  ${median(costs).toFixed(3)} ms`)
  if (ratio < floor) process.exitCode = 1
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
}

try {
  await prepare()
  await compare('triggered update, of the same update unaudited', 0.65, triggered, unaudited, perRound)
  await compare('triggered update, of the way of the ORM', 1.25, triggered, ormWay, perRound)
  await compare('group commit of 64 callers, of a raw insert loop', 0.8, groupCommit, rawLoop, 1)
} finally {
  await audit.close()
  await Promise.all([plain.destroy(), knex.destroy()])
  await server.stop()
}
