import type { Knex } from 'knex'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuditLog, type AuditFilter, type AuditRow } from '../../src/index.ts'
import { postgresAuditStore } from '../../src/objection/index.ts'
import { selectPage } from '../../src/objection/page.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

const total = Number(process.env.COUNTERSIGN_QUERY_ROWS ?? 60_000)

// From the start of last month until a minute ago: two partitions, both with rows.
const now = new Date()
const firstMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1)
const lastMs = now.getTime() - 60_000
const middle = new Date((firstMs + lastMs) / 2)

let database: AuditedDatabase
let knex: Knex

beforeAll(async () => {
  database = await auditedDatabase()
  knex = database.knex
  await knex.raw(
    `insert into audit_logs (id, created_at, action, outcome, user_id, actor_type, resource_type, resource_id,
       correlation_id, tenant_id, ip_address, new_values)
     select encode(int8send((ms << 16) | 28672 | (i % 4096)) || substring(uuid_send(gen_random_uuid()) from 9), 'hex')::uuid,
       to_timestamp(ms / 1000.0), 'document.' || (array['create', 'update', 'delete', 'publish'])[1 + i % 4],
       case when i % 50 = 0 then 'denied' else 'success' end, 'u' || i % 500, 'user', 'document', (i % 2000)::text,
       'c' || i / 10, 't' || i % 20, '10.0.0.' || i % 200, jsonb_build_object('i', i)
     from (select i, ?::bigint + ?::bigint * i / ?::int as ms from generate_series(0, ?::int - 1) as i) as made`,
    [firstMs, lastMs - firstMs, total, total],
  )
  await knex.raw('analyze audit_logs')
})

afterAll(() => database.close())

const numbers = (rows: readonly AuditRow[]) => rows.map(row => (row.newValues as { i: number }).i)
const all = Array.from({ length: total }, (_, i) => i)

async function read(filter: AuditFilter): Promise<AuditRow[]> {
  const rows: AuditRow[] = []
  for await (const row of database.audit.query(filter)) rows.push(row)
  return rows
}

const filters: [name: string, filter: AuditFilter, matches: (i: number) => boolean][] = [
  ['an actor', { actorId: 'u7' }, i => i % 500 === 7],
  ['a resource', { resourceType: 'document', resourceId: '77' }, i => i % 2000 === 77],
  ['a correlation', { correlationId: 'c5' }, i => Math.floor(i / 10) === 5],
  ['an action of an actor', { actorId: 'u6', action: 'document.delete' }, i => i % 500 === 6 && i % 4 === 2],
  ['an outcome of an actor', { actorId: 'u50', outcome: 'denied' }, i => i % 500 === 50],
  ['a tenant and an address', { tenantId: 't3', ip: '10.0.0.103' }, i => i % 20 === 3 && i % 200 === 103],
  ['nobody', { actorId: 'nobody' }, () => false],
]

test.each(filters)('rows of %s are found, newest first', async (_, filter, matches) => {
  expect(numbers(await read(filter))).toEqual(all.filter(matches).reverse())
})

test('pages follow one another without a gap, in both directions', async () => {
  expect(numbers(await read({ action: 'document.publish' }))).toEqual(all.filter(i => i % 4 === 3).reverse())
  expect(numbers(await read({ action: 'document.publish', order: 'oldest' }))).toEqual(all.filter(i => i % 4 === 3))
})

test('the bounds of time hold to the millisecond, the last of them excluded', async () => {
  const [first, second, third] = await read({ order: 'oldest', limit: 3 })
  const from = new Date(first?.createdAt ?? '')
  const to = new Date(third?.createdAt ?? '')
  const within = await read({ from, to })
  expect(within.map(row => row.id)).toEqual([second?.id, first?.id])
})

test.each([0, 1, 499, 500, 501])('a limit of %s is kept', async limit => {
  expect(await read({ limit })).toHaveLength(limit)
})

test.each([-1, 1.5, NaN])('a limit of %s is refused', async limit => {
  expect(() => database.audit.query({ limit })).toThrow(
    expect.objectContaining({ code: 'AUDIT_OPTION_INVALID' }) as Error,
  )
})

test('rows written while a query is read neither disturb it nor repeat', async () => {
  const seen: string[] = []
  for await (const row of database.audit.query({ action: 'document.publish' })) {
    seen.push(row.id)
    if (seen.length % 1000 === 1) await database.audit.recordDurably({ action: 'document.publish' })
  }
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen).toHaveLength(total / 4)
})

test('a reading of the log is recorded before the first row is handed out', async () => {
  const audit = createAuditLog({ store: postgresAuditStore({ knex }), source: 'test' })
  await audit.run({ actor: { id: 'auditor', type: 'user' } }, async () => {
    for await (const _ of audit.query({ actorId: 'u7', from: middle })) break
  })
  const [row] = await read({ actorId: 'auditor' })
  expect(row).toMatchObject({
    action: 'audit_log.read',
    resourceType: 'audit_log',
    metadata: { filter: { actorId: 'u7', from: middle.toISOString() } },
  })
  await audit.close()
  await expect(audit.query()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'AUDIT_LOG_CLOSED' })
})

describe('every query is answered by an index', () => {
  interface Plan {
    'Node Type': string
    'Relation Name'?: string
    'Index Name'?: string
    'Actual Rows': number
    'Actual Loops': number
    'Rows Removed by Filter'?: number
    Plans?: Plan[]
  }

  function nodes(plan: Plan): Plan[] {
    return [plan, ...(plan.Plans ?? []).flatMap(nodes)]
  }

  async function planOf(filter: AuditFilter, afterId?: string): Promise<Plan[]> {
    const { sql, bindings } = selectPage(filter, 50, afterId)
    const { rows } = await knex.raw<{ rows: { 'QUERY PLAN': { Plan: Plan }[] }[] }>(
      `explain (analyze, format json) ${sql}`,
      bindings,
    )
    const [plan] = rows[0]?.['QUERY PLAN'] ?? []
    return plan ? nodes(plan.Plan) : []
  }

  const questions: Record<string, AuditFilter> = {
    'the newest': {},
    'the oldest': { order: 'oldest' },
    'a time': { from: middle, to: new Date(middle.getTime() + 3_600_000) },
    'an actor': { actorId: 'u7' },
    'an action': { action: 'document.publish' },
    'an action nobody did': { action: 'document.burn' },
    'a resource': { resourceType: 'document', resourceId: '77' },
    'a type that does not exist': { resourceType: 'spaceship' },
    'a correlation': { correlationId: 'c5' },
    'an actor’s denials': { actorId: 'u50', outcome: 'denied' },
    'an outcome': { outcome: 'denied' },
    'a tenant': { tenantId: 't3' },
    'an address': { ip: '10.0.0.103', from: middle, to: new Date(middle.getTime() + 10 * 86_400_000) },
  }

  test.each(Object.keys(questions))('%s', async name => {
    const filter = questions[name] ?? {}
    const [row] = await read({ actorId: 'u250' })
    for (const afterId of [undefined, row?.id]) {
      const plan = await planOf(filter, afterId)
      const scans = plan.filter(node => node['Relation Name'] !== undefined)
      expect(scans.length).toBeGreaterThan(0)
      // An empty partition is read as it is, which is the cheapest way.
      const sequential = scans.filter(node => node['Node Type'] === 'Seq Scan' && node['Actual Rows'] > 0)
      expect(sequential).toEqual([])
      const read = scans.reduce((sum, scan) => sum + scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0), 0)
      expect(read).toBeLessThan(total / 5)
    }
  })

  test('the partitions outside of the asked time are not opened', async () => {
    const plan = await planOf({ from: middle, to: new Date(middle.getTime() + 1000), actorId: 'u7' })
    expect(new Set(plan.map(node => node['Relation Name']).filter(Boolean)).size).toBe(1)
  })
})
