import type { Knex } from 'knex'
import type { AuditRow } from '../audit-event.ts'
import type { SinkPage } from '../storage/audit-sink.ts'
import { selectList } from './columns.ts'

interface Position {
  position: string
  upto: string | null
  after_xid: string | null
  after_id: string | null
}

type TransactionRow = AuditRow & { readonly xid: string }

// Longer than a sink may take for a page; a dead process's sink is taken over after it.
const leaseSeconds = 60

const free = `owner = null, lease_until = '-infinity'`

const columns = 'position::text, upto::text, after_xid::text, after_id'

const something = `select where exists (select from audit_logs where xid = any (?::xid8[]))
  or exists (select from audit_logs where xid >= ?::xid8)`

/**
 * The snapshot is stored before the rows are read. Its commit makes durable all that the snapshot sees, so that no sink can
 * hold a row that a crash takes back from the database.
 */
const claim = `
  update audit_sinks set owner = ?, lease_until = now() + make_interval(secs => ${leaseSeconds}),
    upto = coalesce(upto, pg_current_snapshot())
  where name = ? and (owner = ? or lease_until < now()) returning ${columns}`

const among = (condition: string) => `
  (select xid, ${selectList} from audit_logs
    where ${condition} and pg_visible_in_snapshot(xid, ?::pg_snapshot) and (xid, id) > (?::xid8, ?::uuid)
    order by audit_logs.xid, audit_logs.id limit ?)`

/** Transactions that the position saw open, and those that began after it; the first have the lower ids. */
const newRows = `select * from (${among('xid = any (?::xid8[])')} union all ${among('xid >= ?::xid8')}) as new
  order by xid, id limit ?`

/** Returns the rows that come next for a sink; nothing where there are none or another process feeds it. */
export async function sinkPage(knex: Knex, owner: string, sink: string, limit: number): Promise<SinkPage | undefined> {
  if (!(await mayHaveRows(knex, sink))) return undefined
  const [held] = await read<Position>(knex, claim, [owner, sink, owner])
  if (!held) return undefined

  const { open, next } = partsOf(held.position)
  const after = [held.upto ?? '', held.after_xid ?? '0', held.after_id ?? '00000000-0000-0000-0000-000000000000']
  const rows = await read<TransactionRow>(knex, newRows, [open, ...after, limit, next, ...after, limit, limit])
  return {
    rows: rows.map(({ xid: _, ...row }) => row),
    advance: () => advance(knex, owner, sink, rows.length === limit ? rows.at(-1) : undefined),
  }
}

/** An idle log is only looked at: nothing is written until there is a row. */
async function mayHaveRows(knex: Knex, sink: string): Promise<boolean> {
  const [state] = await read<Position>(knex, `select ${columns} from audit_sinks where name = ?`, [sink])
  if (!state) {
    await knex.raw('insert into audit_sinks (name) values (?) on conflict (name) do nothing', [sink])
    return true
  }
  if (state.upto !== null) return true
  const { open, next } = partsOf(state.position)
  return (await read(knex, something, [open, next])).length > 0
}

/** Behind the last row of a full page, else behind everything that the page's snapshot saw; the lease ends with it. */
async function advance(knex: Knex, owner: string, sink: string, last: TransactionRow | undefined): Promise<void> {
  const moved = last
    ? await read(
        knex,
        `update audit_sinks set after_xid = ?, after_id = ?, ${free} where name = ? and owner = ? returning 1`,
        [last.xid, last.id, sink, owner],
      )
    : await read(
        knex,
        `update audit_sinks set position = upto, upto = null, after_xid = null, after_id = null, ${free}
          where name = ? and owner = ? and upto is not null returning 1`,
        [sink, owner],
      )
  if (moved.length === 0) throw new Error(`the feed of sink ${sink} was taken over by another process`)
}

/** A snapshot is written `xmin:xmax:open,open,…`: the transactions open in it, and the first one after it. */
function partsOf(snapshot: string): { open: string; next: string } {
  const [, next = '', open = ''] = snapshot.split(':')
  return { open: `{${open}}`, next }
}

async function read<Row>(knex: Knex, sql: string, bindings: (string | number)[]): Promise<Row[]> {
  const { rows } = await knex.raw<{ rows: Row[] }>(sql, bindings)
  return rows
}
