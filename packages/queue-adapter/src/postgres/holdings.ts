import type { Knex } from 'knex'
import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { QueueError } from '../errors.ts'
import type { Queue } from '../queue.ts'
import { availableIn, deleteRows, leaseRows, postponeRow, type OutboxRow } from './rows.ts'

const reports = channel('countersign.queue-adapter.relay')

/** How long a killed process's rows stay away from the others. */
const leaseMs = 15_000
const renewEveryMs = leaseMs / 3
/** Rows that are with handlers or wait for them in memory. */
const mostHeld = 10_000

/**
 * The rows whose messages are in this process's memory. A row goes when its handler is done; until then it is leased, so
 * that nothing is lost with the process. A dead letter lives in memory too: its row stays, and is tried again by the next
 * process.
 */
export class Holdings {
  readonly #knex: Knex
  readonly #queue: Queue
  readonly #held = new Map<string, 'waiting' | 'dead'>()
  #waiting = 0
  #closed = false
  #done: string[] = []
  #flushing: Promise<void> | undefined
  #emptied: () => void = () => undefined
  readonly #renewing: NodeJS.Timeout

  constructor(knex: Knex, queue: Queue) {
    this.#knex = knex
    this.#queue = queue
    this.#renewing = setInterval(() => {
      availableIn(knex, [...this.#held.keys()], leaseMs).catch(report)
    }, renewEveryMs)
    this.#renewing.unref()
  }

  /** Hands up to `batch` rows to the memory queue and says how many it took. */
  async take(batch: number): Promise<number> {
    const room = Math.min(batch, mostHeld - this.#waiting)
    if (room <= 0) return 0
    const rows = await leaseRows(this.#knex, room, leaseMs)
    for (const row of rows) this.#held.set(row.position, 'waiting')
    this.#waiting += rows.length
    const refused = await Promise.all(rows.map(row => this.#handOver(row)))
    const failed = refused.filter(row => row).length
    if (reports.hasSubscribers && rows.length > 0) reports.publish({ taken: rows.length, failed, error: undefined })
    return failed > 0 ? 0 : rows.length
  }

  /** Waits for the handlers, then gives up the leases of what is not done. */
  async close(drainMs: number): Promise<void> {
    if (this.#waiting > 0 && drainMs > 0) {
      const over = new AbortController()
      const emptied = new Promise<void>(resolve => (this.#emptied = resolve))
      await Promise.race([emptied, sleep(drainMs, undefined, { signal: over.signal }).catch(() => undefined)])
      over.abort()
    }
    this.#closed = true
    clearInterval(this.#renewing)
    await this.#flushing
    await availableIn(this.#knex, [...this.#held.keys()], 0)
  }

  async #handOver(row: OutboxRow): Promise<OutboxRow | undefined> {
    const { position, message } = row
    try {
      await this.#queue.publish(message, {
        onSettled: state => {
          this.#rests(position)
          if (state === 'dead') this.#held.set(position, 'dead')
          else this.#finish(position)
        },
      })
      return undefined
    } catch (error) {
      this.#rests(position)
      this.#held.delete(position)
      if (QueueError.isInstance(error) && error.code !== 'QUEUE_FULL') await postponeRow(this.#knex, position, error)
      else await availableIn(this.#knex, [position], 0)
      return row
    }
  }

  #finish(position: string): void {
    this.#held.delete(position)
    this.#done.push(position)
    this.#flushing ??= this.#flush()
  }

  #rests(position: string): void {
    if (this.#held.get(position) !== 'waiting') return
    this.#waiting -= 1
    if (this.#waiting === 0) this.#emptied()
  }

  async #flush(): Promise<void> {
    // Handlers that end together cost one statement.
    await sleep(1)
    while (this.#done.length > 0) {
      const done = this.#done.splice(0)
      try {
        await deleteRows(this.#knex, done)
      } catch (error) {
        // The database is away: these handlers are done, so their rows must go when it is back.
        this.#done.push(...done)
        report(error)
        if (this.#closed) break
        await sleep(1000)
      }
    }
    this.#flushing = undefined
  }
}

function report(error: unknown): void {
  if (reports.hasSubscribers) reports.publish({ taken: 0, failed: 0, error })
}
