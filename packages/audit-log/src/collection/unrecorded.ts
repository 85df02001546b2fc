import { channel } from 'node:diagnostics_channel'

/** What the channel `countersign.audit-log.unrecorded` carries. */
export interface Unrecorded {
  readonly action: string
  readonly error: unknown
}

const unrecorded = channel('countersign.audit-log.unrecorded')

/**
 * Tells the operator of an event that could not be stored while another error was on its way to the caller, who must get
 * that one. With nobody on the channel it becomes a process warning, so that it is never lost without a word.
 */
export function reportUnrecorded(action: string, error: unknown): void {
  if (unrecorded.hasSubscribers) unrecorded.publish({ action, error } satisfies Unrecorded)
  else {
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`The audit event ${action} was not stored: ${reason}`, { code: 'AUDIT_NOT_RECORDED' })
  }
}
