import { channel } from 'node:diagnostics_channel'
import { setTimeout as pause } from 'node:timers/promises'
import type { AuditRow } from '../audit-event.ts'
import type { Sanitize } from '../processing/sanitize.ts'
import type { AuditSink, SinkReport } from './audit-sink.ts'
import type { AuditStore } from './audit-store.ts'

export interface SinkFeedOptions {
  readonly store: Pick<AuditStore, 'pageFor'>
  readonly sink: AuditSink
  /** Rows of triggers have not passed through this process before. */
  readonly sanitize: Sanitize
  /** How long to wait for new rows when there are none. */
  readonly idleMs: number
}

const pageSize = 200
const firstPauseMs = 100
const longestPauseMs = 30_000
const reports = channel('countersign.audit-log.sink')

/** Copies rows to a sink until it is stopped; a sink that fails is tried again, ever more seldom, and holds up nobody else. */
export function feedSink({ store, sink, sanitize, idleMs }: SinkFeedOptions): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const ended = run()

  async function run(): Promise<void> {
    let failures = 0
    while (!stopping.signal.aborted) {
      let waitMs = idleMs
      try {
        const rows = await step()
        failures = 0
        if (rows > 0) waitMs = 0
      } catch (error) {
        waitMs = Math.min(firstPauseMs * 2 ** failures++, longestPauseMs)
        report({ sink: sink.name, rows: 0, lagMs: 0, error })
      }
      // Rejects when it is stopped, which ends the loop.
      if (waitMs > 0) await pause(waitMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
    }
    await sink.close?.()
  }

  async function step(): Promise<number> {
    const page = await store.pageFor(sink.name, pageSize)
    if (!page) return 0
    const { rows } = page
    if (rows.length > 0) await sink.write(rows.map(row => clean(row, sanitize)))
    await page.advance()
    const newest = rows.at(-1)
    if (newest) report({ sink: sink.name, rows: rows.length, lagMs: Date.now() - Date.parse(newest.createdAt) })
    return rows.length
  }

  return {
    async stop() {
      stopping.abort()
      await ended
    },
  }
}

function clean(row: AuditRow, sanitize: Sanitize): AuditRow {
  return {
    ...row,
    requestData: sanitize(row.requestData),
    oldValues: sanitize(row.oldValues) as AuditRow['oldValues'],
    newValues: sanitize(row.newValues) as AuditRow['newValues'],
    metadata: sanitize(row.metadata) as AuditRow['metadata'],
  }
}

function report(message: SinkReport): void {
  if (reports.hasSubscribers) reports.publish(message)
}
