import type { AuditEvent, AuditRow } from './audit-event.ts'
import type { AuditFilter } from './audit-filter.ts'
import { createActivity, type ActivityFactory } from './collection/activity.ts'
import { carrier, type AuditCarrier } from './collection/carrier.ts'
import { currentAuditContext, runWithAuditContext, type AuditContext } from './collection/context.ts'
import {
  AuditLogClosedError,
  AuditNotDurableError,
  AuditOptionError,
  AuditQueueFullError,
  AuditTransactionRequiredError,
} from './errors.ts'
import { createSanitize, type SanitizeOptions } from './processing/sanitize.ts'
import { auditRow } from './storage/audit-row.ts'
import type { AuditSink } from './storage/audit-sink.ts'
import type { AuditStore } from './storage/audit-store.ts'
import { groupCommit } from './storage/group-commit.ts'
import { readRows } from './storage/read-rows.ts'
import { feedSink } from './storage/sink-feed.ts'
import { openSpool, type SpoolOptions } from './storage/spool.ts'
import { replaySpool } from './storage/spool-replay.ts'

/** Options of `createAuditLog`. */
export interface AuditLogOptions<Transaction> {
  readonly store: AuditStore<Transaction>
  /** Where rows are copied to, each at its own pace; of several processes with the same sink one feeds it. */
  readonly sinks?: readonly AuditSink[] | undefined
  /** Names the app in every row it writes. */
  readonly source?: string | undefined
  /** Whether each `query` is itself recorded, as `audit_log.read`, before its first row. @defaultValue `true` */
  readonly recordReads?: boolean | undefined
  /** Where events wait that are recorded with `onFailure: 'spool'` while the database does not answer. */
  readonly spool?: SpoolOptions | undefined
  /** What is kept out of the rows besides the defaults. */
  readonly sanitize?: SanitizeOptions | undefined
  /** Events that may wait for `recordDurably`; one more is refused with `AUDIT_QUEUE_FULL`. @defaultValue `10_000` */
  readonly maxWaiting?: number | undefined
}

/** What `recordDurably` does when the database does not answer. */
export interface RecordDurablyOptions {
  /** Milliseconds until the event counts as not stored. @defaultValue `10_000`, and `1000` with `spool` */
  readonly deadlineMs?: number | undefined
  /**
   * `closed`: the call rejects, so that the action fails with it. `spool`: the event is flushed to the local disk and stored
   * later, which needs the option `spool` of the audit log.
   * @defaultValue `closed`
   */
  readonly onFailure?: 'closed' | 'spool' | undefined
}

/** Records what happened and reads it back. */
export interface AuditLog<Transaction = unknown> {
  /**
   * Runs `work` with `context` laid over the running one: everything recorded inside it bears it. A query that `work`
   * returns is run inside, too.
   */
  run<T>(context: AuditContext, work: () => PromiseLike<T>): Promise<T>
  run<T>(context: AuditContext, work: () => T): T
  /**
   * Writes the event as part of an open transaction: it commits or rolls back with the change it tells of.
   *
   * @returns The row's id.
   * @throws {@link AuditTransactionRequiredError} `AUDIT_TRANSACTION_REQUIRED` without an open transaction.
   */
  record(event: AuditEvent, options: { readonly transaction: Transaction }): Promise<string>
  /**
   * Writes the event in a transaction that it shares with the events of other callers, and resolves once it is durable.
   *
   * @returns The row's id.
   * @throws {@link AuditNotDurableError} `AUDIT_NOT_DURABLE` when it is not known to be stored by the deadline.
   * @throws {@link AuditQueueFullError} `AUDIT_QUEUE_FULL` when too many events are waiting already.
   */
  recordDurably(event: AuditEvent, options?: RecordDurablyOptions): Promise<string>
  /**
   * Records every call of an async method or function that it decorates or wraps, with outcome and duration; what is
   * recorded inside names the call as its cause.
   */
  readonly activity: ActivityFactory
  /**
   * Reads rows, newest first, in pages fetched as they are consumed; rows written meanwhile do not disturb it. Filters by
   * actor, action, resource, correlation and time have an index; give a time with any other.
   */
  query(filter?: AuditFilter): AsyncIterable<AuditRow>
  /** Takes the context along to other processes; fits the queue's port. */
  readonly carrier: AuditCarrier
  /** Refuses new events and resolves when those taken have settled and the sinks are closed. */
  close(): Promise<void>
}

const batchSize = 100
const defaultDeadlineMs = 10_000
const spoolDeadlineMs = 1000
const sinkIdleMs = 500

/**
 * Creates the audit log of an app.
 *
 * @param options - The store, and what the rows say of their origin.
 * @returns The log; to be closed when the app stops.
 * @throws {@link AuditOptionError} `AUDIT_OPTION_INVALID` for an option that cannot work.
 * @example
 * ```ts
 * import { createAuditLog } from '@countersign/audit-log'
 * import { postgresAuditStore } from '@countersign/audit-log/objection'
 * import Knex from 'knex'
 *
 * const knex = Knex({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const audit = createAuditLog({ store: postgresAuditStore({ knex }), sinks: [], source: 'documents' })
 * await audit.run({ actor: { id: 'u1', type: 'user' } }, () =>
 *   audit.recordDurably({ action: 'report.export', resource: { type: 'report', id: 'q3' } }),
 * )
 * ```
 */
export function createAuditLog<Transaction>(options: AuditLogOptions<Transaction>): AuditLog<Transaction> {
  const { store, source, recordReads = true, maxWaiting = 10_000 } = options
  if (!Number.isSafeInteger(maxWaiting) || maxWaiting < 1) {
    throw new AuditOptionError('maxWaiting', 'a positive whole number')
  }
  const sanitize = createSanitize(options.sanitize)
  const group = groupCommit({ store, batchSize, maxWaiting })
  const feeds = distinct(options.sinks ?? []).map(sink => feedSink({ store, sink, sanitize, idleMs: sinkIdleMs }))
  const spool = options.spool && openSpool(options.spool)
  let closed = false

  function rowOf(event: AuditEvent): AuditRow {
    if (closed) throw new AuditLogClosedError()
    return auditRow(event, { source, ...currentAuditContext() }, sanitize)
  }

  const replay = spool && replaySpool({ spool, store, rowOf: event => auditRow(event, { source }, sanitize) })

  async function recordRead(filter: AuditFilter): Promise<void> {
    const event = { action: 'audit_log.read', resource: { type: 'audit_log' }, metadata: { filter } }
    await group.add(rowOf(event), defaultDeadlineMs)
  }

  const log: Omit<AuditLog<Transaction>, 'activity'> = {
    run: <T>(context: AuditContext, work: () => T) => runWithAuditContext({ source, ...context }, work),

    async record(event, { transaction }) {
      if (!store.isTransaction(transaction)) throw new AuditTransactionRequiredError()
      const row = rowOf(event)
      await store.insert(row, transaction)
      return row.id
    },

    async recordDurably(event, { onFailure = 'closed', deadlineMs } = {}) {
      const waitMs = deadlineMs ?? (onFailure === 'spool' ? spoolDeadlineMs : defaultDeadlineMs)
      if (!(waitMs > 0 && waitMs < 2 ** 31)) throw new AuditOptionError('deadlineMs', 'a number of milliseconds')
      if (onFailure === 'spool' && !spool) throw new AuditOptionError('onFailure', 'closed, for there is no spool')
      const row = rowOf(event)
      try {
        await group.add(row, waitMs)
      } catch (error) {
        if (onFailure !== 'spool' || !spool || !isLater(error)) throw error
        await spool.add(row).catch((cause: unknown) => {
          throw new AuditNotDurableError(row.id, 'neither the database nor the spool took it', {
            cause,
            retryable: true,
          })
        })
      }
      return row.id
    },

    query: (filter = {}) => readRows(store, filter, recordReads ? () => recordRead(filter) : undefined),

    carrier: {
      capture: () => carrier.capture(),
      // Who speaks is this process, whoever sent the message.
      run: <T>(headers: Readonly<Record<string, unknown>>, work: () => T) =>
        carrier.run(headers, () => runWithAuditContext({ source }, work)),
    },

    async close() {
      closed = true
      await group.close()
      await replay?.stop()
      await spool?.close()
      await Promise.all(feeds.map(feed => feed.stop()))
    },
  }
  return { ...log, activity: createActivity(log) }
}

/** Whether the event may be stored later. */
function isLater(error: unknown): boolean {
  return error instanceof AuditQueueFullError || (error instanceof AuditNotDurableError && error.retryable)
}

function distinct(sinks: readonly AuditSink[]): readonly AuditSink[] {
  const names = new Set(sinks.map(sink => sink.name))
  if (names.size < sinks.length) throw new AuditOptionError('sinks', 'sinks of different names')
  return sinks
}
