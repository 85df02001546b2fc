import type { AuditRow } from '../audit-event.ts'

/** Where rows are copied to. */
export interface AuditSink {
  /** Names the sink's position in the log: a sink of another name begins at the log's first row. */
  readonly name: string
  /**
   * Resolves when the rows are safe in the sink. They come in the order of their transactions, each row at least once: after
   * a failure or a crash the same rows come again.
   */
  write(rows: readonly AuditRow[]): Promise<void>
  /** Ends the sink when the log is closed; resolves when what was written is safe. */
  close?(): Promise<void>
}

/** Rows that a sink has yet to get. */
export interface SinkPage {
  readonly rows: readonly AuditRow[]
  /** Moves the sink's position behind the rows. */
  advance(): Promise<void>
}

/** What the state of a sink's feed is, as published on the channel `countersign.audit-log.sink`. */
export interface SinkReport {
  readonly sink: string
  /** Rows that reached the sink in this step. */
  readonly rows: number
  /** How old the newest of them was, in milliseconds: the sink's lag. */
  readonly lagMs: number
  /** Why the step failed; it is tried again. */
  readonly error?: unknown
}
