import Knex from 'knex'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { createDatabase, startPostgres } from '../../../../test/support/postgres.ts'
import { auditTable, migrations } from '../../src/objection/index.ts'

const rounds = Number(process.env.COUNTERSIGN_CRASH_ROUNDS ?? 5)

/** Runs the writer, kills it in mid-load, and before that a process of PostgreSQL, which then recovers from its log. */
async function crash(url: string, round: number, acknowledged: string[]): Promise<void> {
  const writer = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.ts'), url, String(round)], {
    // Acknowledgements have a pipe of their own: knex prints its complaints to the others.
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const seen = acknowledged.length
  createInterface({ input: writer.stdio[3] as Readable }).on('line', id => acknowledged.push(id))
  const ended = once(writer, 'close')
  try {
    await vi.waitFor(
      () => {
        expect(acknowledged.length).toBeGreaterThan(seen)
      },
      { timeout: 20_000 },
    )
    await pause(Math.random() * 400)
    if (round % 2 === 1) {
      await killBackend(url)
      await pause(Math.random() * 400)
    }
  } finally {
    writer.kill('SIGKILL')
    await ended
  }
}

async function killBackend(url: string): Promise<void> {
  const knex = Knex({ client: 'pg', connection: url, pool: { min: 0, max: 1 } })
  try {
    const { rows } = await knex.raw<{ rows: { pid: number }[] }>(
      `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    )
    const [victim] = rows
    if (victim) process.kill(victim.pid, 'SIGKILL')
  } finally {
    await knex.destroy()
  }
}

test(
  'killed at any moment, the app and the database leave one audit row for each committed change',
  { timeout: 30_000 + rounds * 10_000 },
  async () => {
    const server = await startPostgres({ durable: true })
    const database = await createDatabase(server.url)
    const open = () => Knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 1 } })
    const acknowledged: string[] = []
    try {
      const setup = open()
      await setup.migrate.latest(migrations())
      await setup.raw('create table accounts (id int primary key, n int default 0)')
      await setup.raw('insert into accounts (id) select generate_series(1, 50)')
      await setup.raw('create table transfers (id text primary key)')
      await auditTable(setup, 'accounts')
      await auditTable(setup, 'transfers')
      await setup.destroy()

      for (let round = 0; round < rounds; round++) await crash(database.url, round, acknowledged)

      const knex = open()
      await vi.waitFor(() => knex.raw('select 1'), { timeout: 20_000 })
      const { rows } = await knex.raw<{ rows: Record<string, number>[] }>(
        `select (select sum(n) from accounts)::int as changes,
          (select count(*) from audit_logs where action = 'accounts.update')::int as "changeRows",
          (select count(*) from accounts a where n <> (select count(*) from audit_logs
            where action = 'accounts.update' and resource_id = a.id::text))::int as "accountsWrong",
          (select count(*) from transfers)::int as transfers,
          (select count(*) from transfers t full join (select * from audit_logs where action = 'transfer.made') r
            on r.resource_id = t.id where t.id is null or r.id is null)::int as "recordedWrong",
          (select count(*) from transfers t full join (select * from audit_logs where action = 'transfers.create') r
            on r.resource_id = t.id where t.id is null or r.id is null)::int as "triggeredWrong",
          (select count(*) - count(distinct id) from audit_logs)::int as "sameIds",
          (select count(*) - count(distinct resource_id) from audit_logs where resource_type = 'event')::int as "eventsTwice",
          (select count(*) from unnest(?::uuid[]) as a (id) where not exists
            (select from audit_logs l where l.id = a.id))::int as "acknowledgedLost"`,
        [`{${acknowledged.join(',')}}`],
      )
      await knex.destroy()
      const [counts = {}] = rows
      expect(counts.transfers).toBeGreaterThan(rounds * 10)
      expect(acknowledged.length).toBeGreaterThan(rounds * 10)
      expect(counts).toMatchObject({
        changeRows: counts.changes,
        changes: counts.transfers,
        accountsWrong: 0,
        recordedWrong: 0,
        triggeredWrong: 0,
        sameIds: 0,
        eventsTwice: 0,
        acknowledgedLost: 0,
      })
      // What a run proved is worth a line.
      process.stdout.write(`${rounds} crashes: ${counts.transfers} transfers, ${acknowledged.length} acknowledged\n`)
    } finally {
      await server.stop()
    }
  },
)
