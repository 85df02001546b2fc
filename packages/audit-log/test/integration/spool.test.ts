import Knex from 'knex'
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { createDatabase } from '../../../../test/support/postgres.ts'
import { createAuditLog, type AuditLog } from '../../src/index.ts'
import { migrations, postgresAuditStore } from '../../src/objection/index.ts'
import { createSanitize } from '../../src/processing/sanitize.ts'
import { auditRow } from '../../src/storage/audit-row.ts'
import { uuidv7 } from '../../src/uuid.ts'
import { breakableLink, type BreakableLink } from './breakable-link.ts'

let link: BreakableLink
let knex: Knex.Knex
let drop: () => Promise<void>

beforeAll(async () => {
  const database = await createDatabase(inject('postgresUrl'))
  drop = database.drop
  link = await breakableLink(database.url)
  const log = { warn() {}, error() {} }
  knex = Knex({ client: 'pg', connection: link.url, pool: { min: 0, max: 2 }, log })
  await knex.migrate.latest(migrations())
})

afterAll(async () => {
  await knex.destroy()
  await link.close()
  await drop()
})

const spooled = (action: string, id?: string) => auditRow({ id, action }, undefined, createSanitize())

const folder = () => mkdtemp(join(tmpdir(), 'countersign-spool-'))

function logWith(directory: string, more: { maxBytes?: number } = {}): AuditLog<Knex.Knex.Transaction> {
  return createAuditLog({ store: postgresAuditStore({ knex }), spool: { directory, ...more }, source: 'spool' })
}

const segments = async (directory: string) => (await readdir(directory)).filter(name => name.endsWith('.ndjson'))

async function stored(ids: readonly string[]): Promise<number> {
  const { rows } = await knex.raw<{ rows: { n: number }[] }>(
    'select count(*)::int as n from audit_logs where id = any (?::uuid[])',
    [`{${ids.join(',')}}`],
  )
  return rows[0]?.n ?? 0
}

test('while the database does not answer events are kept on disk, and stored once it does', async () => {
  const directory = await folder()
  const audit = logWith(directory)
  await audit.recordDurably({ action: 'before.outage' })
  link.cut()
  const ids = await Promise.all(
    Array.from({ length: 50 }, () =>
      audit.recordDurably({ action: 'in.outage' }, { onFailure: 'spool', deadlineMs: 100 }),
    ),
  )
  await expect(audit.recordDurably({ action: 'in.outage' }, { deadlineMs: 100 })).rejects.toMatchObject({
    code: 'AUDIT_NOT_DURABLE',
    retryable: true,
  })
  expect((await segments(directory)).length).toBeGreaterThan(0)
  link.mend()
  await vi.waitFor(
    async () => {
      expect(await segments(directory)).toEqual([])
      expect(await stored(ids)).toBe(50)
    },
    { timeout: 25_000, interval: 200 },
  )
  const replays = await knex('audit_logs').where({ action: 'audit_log.replay' }).select('metadata', 'severity')
  expect(replays).toContainEqual({ severity: 'warn', metadata: { rows: 50, refused: 0 } })
  await audit.close()
  await rm(directory, { recursive: true })
})

test('what a killed process left is stored by the next, up to the last whole line', async () => {
  const directory = await folder()
  const audit = logWith(directory)
  link.cut()
  const id = await audit.recordDurably({ action: 'left.behind' }, { onFailure: 'spool', deadlineMs: 50 })
  const closing = audit.close()
  link.mend()
  await closing
  const left = spooled('left.behind')
  const rescued = left.id
  const [name] = await segments(directory)
  // The row may have got through while closing; then a segment is made as a crash leaves it.
  const path = join(directory, name ?? `${uuidv7()}.ndjson`)
  await appendFile(path, `${JSON.stringify(left)}\n{"id":"torn`)
  await writeFile(join(directory, 'lock'), '999999999')

  const next = logWith(directory)
  await vi.waitFor(
    async () => {
      expect(await stored([id, rescued])).toBe(2)
      expect(await segments(directory)).toEqual([])
    },
    { timeout: 10_000, interval: 100 },
  )
  await next.close()
  await rm(directory, { recursive: true })
})

test('a spooled row that the database refuses is kept as the content of another', async () => {
  const directory = await folder()
  const late = spooled('long.ago', '0000e9d0-5019-76e1-84b7-8eece4112b6b')
  const fine = spooled('fine.row')
  const good = fine.id
  const lines = [late, fine].map(row => `${JSON.stringify(row)}\n`).join('')
  await writeFile(join(directory, `${uuidv7()}.ndjson`), lines)
  const audit = logWith(directory)
  await vi.waitFor(
    async () => {
      expect(await segments(directory)).toEqual([])
    },
    { timeout: 10_000, interval: 100 },
  )
  expect(await stored([good])).toBe(1)
  const kept = await knex<{ action: string; metadata: { row: { id: string } } }>('audit_logs')
    .where({ action: 'audit_log.late' })
    .select('metadata')
  expect(kept.map(row => row.metadata.row.id)).toEqual([late.id])
  await audit.close()
  await rm(directory, { recursive: true })
})

test('a full spool refuses, so that the action fails rather than goes unrecorded', async () => {
  const directory = await folder()
  const audit = logWith(directory, { maxBytes: 1000 })
  link.cut()
  try {
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () =>
        audit.recordDurably({ action: 'too.much' }, { onFailure: 'spool', deadlineMs: 50 }),
      ),
    )
    expect(results.map(({ status }) => status)).toContain('rejected')
  } finally {
    link.mend()
  }
  await audit.close()
  await rm(directory, { recursive: true })
})

test('without a spool, and with one of a folder in use, it says so', async () => {
  const audit = createAuditLog({ store: postgresAuditStore({ knex }) })
  await expect(audit.recordDurably({ action: 'a.b' }, { onFailure: 'spool' })).rejects.toMatchObject({
    option: 'onFailure',
  })
  await audit.close()
  const directory = await folder()
  const first = logWith(directory)
  expect(() => logWith(directory)).toThrow(expect.objectContaining({ option: 'spool.directory' }) as Error)
  await first.close()
  await writeFile(join(directory, 'lock'), String(process.ppid))
  expect(() => logWith(directory)).toThrow(expect.objectContaining({ option: 'spool.directory' }) as Error)
  await rm(directory, { recursive: true })
})
