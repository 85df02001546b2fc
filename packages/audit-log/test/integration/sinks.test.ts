import type { Knex } from 'knex'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { jsonLinesFile } from '../../src/file/index.ts'
import { createAuditLog, type AuditRow, type AuditSink, type SinkReport } from '../../src/index.ts'
import { auditTable, postgresAuditStore } from '../../src/objection/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

let database: AuditedDatabase
let knex: Knex
let folder: string

beforeAll(async () => {
  database = await auditedDatabase({ max: 12 })
  knex = database.knex
  folder = await mkdtemp(join(tmpdir(), 'countersign-sinks-'))
  await knex.raw('create table work (id serial primary key, writer int, password_hint jsonb)')
  await auditTable(knex, 'work')
})

afterAll(async () => {
  await database.close()
  await rm(folder, { recursive: true })
})

interface Collector extends AuditSink {
  readonly rows: AuditRow[]
}

function collector(name: string, before: () => Promise<void> = async () => {}): Collector {
  const rows: AuditRow[] = []
  return {
    name,
    rows,
    async write(page) {
      await before()
      rows.push(...page)
    },
  }
}

const logWith = (...sinks: AuditSink[]) =>
  createAuditLog({ store: postgresAuditStore({ knex }), sinks, recordReads: false })

const committed = async () => new Set((await database.rows()).map(row => row.id))
const ids = (rows: readonly AuditRow[]) => new Set(rows.map(row => row.id))

async function write(writer: number, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await knex
      .transaction(async trx => {
        await trx('work').insert({ writer })
        await trx
          .transaction(async inner => {
            await inner('work').insert({ writer })
            if (i % 5 === 0) throw new Error('savepoint')
          })
          .catch(() => undefined)
        if (i % 7 === 0) throw new Error('transaction')
      })
      .catch(() => undefined)
  }
}

test('each committed row reaches the sink, whatever the order of commits, and none that was rolled back', async () => {
  const sink = collector('order')
  const audit = logWith(sink)
  const long = await knex.transaction()
  await long('work').insert({ writer: 99 })
  await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer, 40)))
  await vi.waitFor(async () => {
    expect(ids(sink.rows)).toEqual(await committed())
  }, 10_000)
  const before = sink.rows.length
  await long('work').insert({ writer: 99 })
  await long.commit()
  await vi.waitFor(async () => {
    expect(ids(sink.rows)).toEqual(await committed())
  }, 10_000)
  await audit.close()
  expect(sink.rows.slice(before).map(row => row.newValues?.writer)).toEqual([99, 99])
  expect(sink.rows).toHaveLength(ids(sink.rows).size)
})

test('a transaction of more rows than a page holds comes whole and in order', async () => {
  const sink = collector('large')
  await knex.raw('insert into work (writer) select 1000 + n from generate_series(1, 1500) as n')
  const audit = logWith(sink)
  await vi.waitFor(async () => {
    expect(ids(sink.rows)).toEqual(await committed())
  }, 10_000)
  await audit.close()
  const writers = sink.rows.map(row => row.newValues?.writer as number).filter(writer => writer > 1000)
  expect(writers).toEqual(Array.from({ length: 1500 }, (_, i) => 1001 + i))
})

test('a sink goes on where it was, and rows come again where it failed', async () => {
  const reports: SinkReport[] = []
  const listen = (message: unknown) => void reports.push(message as SinkReport)
  subscribe('countersign.audit-log.sink', listen)
  try {
    let failures = 2
    const sink = collector('retry', async () => {
      if (failures-- > 0) throw new Error('disk full')
    })
    const first = logWith(sink)
    await vi.waitFor(async () => {
      expect(ids(sink.rows)).toEqual(await committed())
    }, 10_000)
    await first.close()
    const seen = sink.rows.length
    expect(reports.filter(report => report.sink === 'retry' && report.error)).toHaveLength(2)

    await knex('work').insert({ writer: 5 })
    const second = logWith(sink)
    await vi.waitFor(() => {
      expect(sink.rows).toHaveLength(seen + 1)
    }, 10_000)
    await second.close()
    expect(reports.some(report => report.sink === 'retry' && report.rows === 1 && report.lagMs >= 0)).toBe(true)
  } finally {
    unsubscribe('countersign.audit-log.sink', listen)
  }
})

test('a dead sink holds up neither the app nor another sink, and closing does not wait for it to recover', async () => {
  const dead = collector('dead', async () => {
    throw new Error('gone')
  })
  const healthy = collector('healthy')
  const audit = logWith(dead, healthy)
  const id = await audit.recordDurably({ action: 'while.dead' })
  await vi.waitFor(() => {
    expect(ids(healthy.rows)).toContain(id)
  }, 10_000)
  await audit.close()
  expect(dead.rows).toEqual([])
})

test('two processes that feed one sink take turns: no row is lost and none comes twice', async () => {
  const one = collector('shared')
  const other = collector('shared')
  const audits = [logWith(one), logWith(other)]
  await Promise.all(Array.from({ length: 4 }, (_, writer) => write(writer, 20)))
  await vi.waitFor(async () => {
    expect(ids([...one.rows, ...other.rows])).toEqual(await committed())
  }, 10_000)
  await Promise.all(audits.map(audit => audit.close()))
  expect(one.rows.length + other.rows.length).toBe(ids([...one.rows, ...other.rows]).size)
})

test('two sinks of one name are refused', () => {
  expect(() => logWith(collector('x'), collector('x'))).toThrow(
    expect.objectContaining({ code: 'AUDIT_OPTION_INVALID', option: 'sinks' }) as Error,
  )
})

test('what the trigger could not know for a secret is hidden from the sink', async () => {
  const sink = collector('clean')
  await knex('work').insert({ writer: 1, password_hint: null })
  await knex.raw('alter table work add column note text')
  await knex('work').insert({ note: 'see Bearer abcdefghijklmnopqrstuvwxyz0123456789' })
  const audit = logWith(sink)
  await vi.waitFor(async () => {
    expect(ids(sink.rows)).toEqual(await committed())
  }, 10_000)
  await audit.close()
  expect(JSON.stringify(sink.rows)).not.toContain('abcdefghijklmnopqrstuvwxyz')
})

async function linesOf(path: string): Promise<AuditRow[]> {
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as AuditRow)
}

test('the file holds one row a line, begins anew when it is full, and drops half a line that a crash left', async () => {
  const path = join(folder, 'audit.ndjson')
  const options = { path, name: 'file', maxBytes: 100_000 }
  const first = logWith(jsonLinesFile(options))
  const names = async () => (await readdir(folder)).filter(name => name.startsWith('audit.ndjson')).sort()
  const lines = async () => {
    const files = await Promise.all((await names()).map(name => linesOf(join(folder, name))))
    return files.flat()
  }
  await vi.waitFor(async () => {
    expect(ids(await lines())).toEqual(await committed())
  }, 20_000)
  await first.close()
  expect((await names()).length).toBeGreaterThan(2)

  await appendFile(path, '{"id":"half')
  const second = logWith(jsonLinesFile(options))
  const id = await second.recordDurably({ action: 'after.crash' })
  await vi.waitFor(async () => {
    expect(ids(await lines())).toContain(id)
  }, 20_000)
  await second.close()
  expect(await lines()).toHaveLength(ids(await lines()).size)
})

test.each([{ maxBytes: 0 }, { maxAgeMs: NaN }])('limits of %j are refused', limits => {
  expect(() => jsonLinesFile({ path: 'x', ...limits })).toThrow(
    expect.objectContaining({ code: 'AUDIT_OPTION_INVALID' }) as Error,
  )
})
