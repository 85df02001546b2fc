import { channel } from 'node:diagnostics_channel'
import { setTimeout as pause } from 'node:timers/promises'
import type { AuditEvent, AuditRow } from '../audit-event.ts'
import type { AuditStore } from './audit-store.ts'
import type { Spool } from './spool.ts'

export interface SpoolReplayOptions {
  readonly spool: Spool
  readonly store: Pick<AuditStore, 'insertDurably' | 'isRowFault'>
  readonly rowOf: (event: AuditEvent) => AuditRow
}

/** What a replay did, as published on the channel `countersign.audit-log.spool`. */
export interface SpoolReport {
  /** Rows that reached the database. */
  readonly rows: number
  /** Why they did not; it is tried again. */
  readonly error?: unknown
}

const reports = channel('countersign.audit-log.spool')
const batchSize = 100
const restMs = 500

/** Stores spooled rows once the database takes them again, and records that it did. A row stored twice is stored once. */
export function replaySpool({ spool, store, rowOf }: SpoolReplayOptions): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const ended = run()

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const rows = await spool.replay(storeAll).catch((error: unknown) => {
        // The segment stays and is tried again; mostly the database is still away.
        if (reports.hasSubscribers) reports.publish({ rows: 0, error } satisfies SpoolReport)
        return 0
      })
      if (rows > 0 && reports.hasSubscribers) reports.publish({ rows } satisfies SpoolReport)
      if (rows === 0) await pause(restMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined)
    }
  }

  async function storeAll(rows: readonly AuditRow[]): Promise<void> {
    let refused = 0
    for (let start = 0; start < rows.length; start += batchSize) {
      const batch = rows.slice(start, start + batchSize)
      try {
        await store.insertDurably(batch)
      } catch (error) {
        if (!store.isRowFault(error)) throw error
        for (const row of batch) if (!(await storeOne(row))) refused++
      }
    }
    await store.insertDurably([
      rowOf({ action: 'audit_log.replay', severity: 'warn', metadata: { rows: rows.length, refused } }),
    ])
  }

  /** A row that the database refuses as it is, is kept as the content of another: its month may have no partition left. */
  async function storeOne(row: AuditRow): Promise<boolean> {
    try {
      await store.insertDurably([row])
      return true
    } catch (error) {
      if (!store.isRowFault(error)) throw error
      await store.insertDurably([rowOf({ action: 'audit_log.late', severity: 'warn', metadata: { row } })])
      return false
    }
  }

  return {
    async stop() {
      stopping.abort()
      await ended
    },
  }
}
