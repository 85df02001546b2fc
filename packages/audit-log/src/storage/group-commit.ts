import { setTimeout as pause } from 'node:timers/promises'
import type { AuditRow } from '../audit-event.ts'
import { AuditLogClosedError, AuditNotDurableError, AuditQueueFullError } from '../errors.ts'
import type { AuditStore } from './audit-store.ts'

export interface GroupCommitOptions {
  readonly store: Pick<AuditStore, 'insertDurably' | 'isRowFault'>
  /** Rows in one insert. */
  readonly batchSize: number
  /** Rows that may wait for their insert; one more is refused. */
  readonly maxWaiting: number
}

export interface GroupCommit {
  /** Resolves when the row is durable; rejects when it is not known to be so `deadlineMs` from now. */
  add(row: AuditRow, deadlineMs: number): Promise<void>
  /** Refuses new rows and resolves when every row that was taken has settled. */
  close(): Promise<void>
}

interface Waiting {
  readonly row: AuditRow
  readonly settle: (error?: Error) => void
  lastError: unknown
}

const firstPauseMs = 20
const longestPauseMs = 1000

/**
 * Writes the rows of many callers in one insert: what arrives while an insert is under way goes into the next, so that a
 * lone caller never waits for company and a crowd pays for one flush together.
 */
export function groupCommit({ store, batchSize, maxWaiting }: GroupCommitOptions): GroupCommit {
  const waiting = new Set<Waiting>()
  let closed = false
  let draining: Promise<void> | undefined

  function add(row: AuditRow, deadlineMs: number): Promise<void> {
    if (closed) return Promise.reject(new AuditLogClosedError())
    if (waiting.size >= maxWaiting) return Promise.reject(new AuditQueueFullError(maxWaiting))
    return new Promise<void>((resolve, reject) => {
      const entry: Waiting = {
        row,
        lastError: undefined,
        settle(error) {
          clearTimeout(timer)
          waiting.delete(entry)
          if (error) reject(error)
          else resolve()
        },
      }
      const timer = setTimeout(() => {
        entry.settle(
          new AuditNotDurableError(row.id, `no answer within ${deadlineMs} ms`, {
            cause: entry.lastError,
            retryable: true,
          }),
        )
      }, deadlineMs)
      waiting.add(entry)
      draining ??= drain()
    })
  }

  async function drain(): Promise<void> {
    // Callers of the same turn of the event loop share the first insert.
    await Promise.resolve()
    let pauseMs = firstPauseMs
    while (waiting.size > 0) {
      if (await write(firstOf(waiting, batchSize))) {
        pauseMs = firstPauseMs
        continue
      }
      await pause(pauseMs)
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    }
    draining = undefined
  }

  /** Returns false where the same rows may succeed later; they stay in line. */
  async function write(batch: readonly Waiting[]): Promise<boolean> {
    try {
      await store.insertDurably(batch.map(entry => entry.row))
    } catch (error) {
      if (!store.isRowFault(error)) {
        for (const entry of batch) entry.lastError = error
        return false
      }
      const [first] = batch
      if (batch.length === 1 && first) {
        first.settle(
          new AuditNotDurableError(first.row.id, 'the database refused it', { cause: error, retryable: false }),
        )
        return true
      }
      // One bad row must not take its neighbours along.
      const middle = batch.length >> 1
      return (await write(batch.slice(0, middle))) && (await write(batch.slice(middle)))
    }
    for (const entry of batch) entry.settle()
    return true
  }

  return {
    add,
    async close() {
      closed = true
      await draining
    },
  }
}

function firstOf<T>(set: ReadonlySet<T>, count: number): T[] {
  const first: T[] = []
  for (const value of set) {
    if (first.length === count) break
    first.push(value)
  }
  return first
}
