import type { Knex } from 'knex'
import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { QueueError, invalidOption, wholeNumber } from '../errors.ts'
import type { Queue } from '../queue.ts'
import { Holdings } from './holdings.ts'
import { deleteRows, lockRows, postponeRow, type OutboxRow } from './rows.ts'
import { run } from './transaction.ts'

const reports = channel('countersign.queue-adapter.relay')
/** Any number does that nobody else uses for an advisory lock: it is "countersign.queue" hashed. */
const orderLock = '4021863709911253'

/** How a relay works. */
export interface RelayOptions {
  /** Rows handed over in one go, 1 to 10,000. @defaultValue `500` */
  batch?: number | undefined
  /** How often it looks without being woken, in milliseconds. @defaultValue `1000` */
  pollMs?: number | undefined
  /**
   * Hands rows over one after the other in the order of their positions, in one process at a time. A row that cannot be
   * sent then holds up those behind it. @defaultValue `false`
   */
  ordered?: boolean | undefined
}

/** A relay at work. */
export interface Relay {
  /** Takes no more rows and waits for those it has handed over, up to `drainMs` milliseconds (default 10,000). */
  stop(options?: { drainMs?: number | undefined }): Promise<void>
}

export function startRelay(knex: Knex, queue: Queue, options: RelayOptions): Relay & { wake: () => void } {
  const batch = wholeNumber('batch', options.batch ?? 500, { min: 1, max: 10_000 })
  const pollMs = wholeNumber('pollMs', options.pollMs ?? 1000, { min: 1, max: 3_600_000 })
  const ordered = options.ordered ?? false
  const { durable } = queue.transport
  if (ordered && !durable) throw invalidOption('ordered', 'left out with a transport that is not durable', ordered)
  const holdings = durable ? undefined : new Holdings(knex, queue)
  const stopping = new AbortController()
  let awake = false
  let rouse: () => void = () => undefined

  const wake = (): void => {
    awake = true
    rouse()
  }
  const rest = async (): Promise<void> => {
    if (!awake && !stopping.signal.aborted) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, pollMs)
        rouse = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    awake = false
  }
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let taken = 0
      try {
        await queue.ready({ timeoutMs: Math.max(1000, pollMs) })
        taken = holdings ? await holdings.take(batch) : await handOver(knex, queue, { batch, ordered })
      } catch (error) {
        // The rows stay; a broker or database that is down is asked again at the pace of the polls.
        if (reports.hasSubscribers) reports.publish({ taken: 0, failed: 0, error })
        awake = false
      }
      if (taken < batch) await rest()
    }
  }
  const working = work()

  return {
    wake,
    stop: async ({ drainMs = 10_000 } = {}) => {
      wholeNumber('drainMs', drainMs, { min: 0, max: 3_600_000 })
      stopping.abort()
      wake()
      const deadline = Date.now() + drainMs
      const over = new AbortController()
      await Promise.race([working, sleep(drainMs, undefined, { signal: over.signal }).catch(() => undefined)])
      over.abort()
      await holdings?.close(Math.max(0, deadline - Date.now()))
    },
  }
}

/** Hands one batch to a durable queue. The rows go in the same transaction that locked them, those that were confirmed. */
async function handOver(
  knex: Knex,
  queue: Queue,
  { batch, ordered }: { batch: number; ordered: boolean },
): Promise<number> {
  return knex.transaction(async transaction => {
    if (ordered && !(await lockOrder(transaction))) return 0
    const rows = await lockRows(transaction, batch)
    if (rows.length === 0) return 0
    const { sent, failed } = await (ordered ? sendInOrder(queue, rows) : sendTogether(queue, rows))
    await deleteRows(
      transaction,
      sent.map(row => row.position),
    )
    for (const { row, error } of failed) {
      if (isRefusal(error)) await postponeRow(transaction, row.position, error)
    }
    const [first] = failed
    if (reports.hasSubscribers) reports.publish({ taken: rows.length, failed: failed.length, error: first?.error })
    // After a failure the next look comes at the pace of the polls.
    return failed.length > 0 ? 0 : rows.length
  })
}

interface Sent {
  readonly sent: readonly OutboxRow[]
  readonly failed: readonly { readonly row: OutboxRow; readonly error: unknown }[]
}

async function sendTogether(queue: Queue, rows: readonly OutboxRow[]): Promise<Sent> {
  const sent: OutboxRow[] = []
  const failed: { row: OutboxRow; error: unknown }[] = []
  await Promise.all(
    rows.map(row =>
      queue.publish(row.message).then(
        () => sent.push(row),
        (error: unknown) => failed.push({ row, error }),
      ),
    ),
  )
  return { sent, failed }
}

async function sendInOrder(queue: Queue, rows: readonly OutboxRow[]): Promise<Sent> {
  const sent: OutboxRow[] = []
  for (const row of rows) {
    try {
      await queue.publish(row.message)
    } catch (error) {
      return { sent, failed: [{ row, error }] }
    }
    sent.push(row)
  }
  return { sent, failed: [] }
}

async function lockOrder(transaction: Knex): Promise<boolean> {
  const [row] = await run(transaction, 'select pg_try_advisory_xact_lock(?::bigint) as locked', [orderLock])
  return (row as { locked: boolean }).locked
}

/** Whether this very message is refused, rather than all of them for now. */
function isRefusal(error: unknown): error is Error {
  if (!QueueError.isInstance(error)) return error instanceof Error
  return !['BROKER_UNAVAILABLE', 'BROKER_REFUSED', 'PUBLISH_UNKNOWN', 'QUEUE_FULL', 'QUEUE_CLOSED'].includes(error.code)
}
