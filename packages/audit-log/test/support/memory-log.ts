import type { AuditEvent } from '../../src/audit-event.ts'
import { type AuditContext, currentAuditContext, runWithAuditContext } from '../../src/collection/context.ts'

export interface Recorded {
  readonly event: AuditEvent
  readonly context: AuditContext
}

/** Stands behind the narrow interfaces of the collectors, so that their tests need no database. */
export class MemoryLog {
  readonly rows: Recorded[] = []
  failure: Error | undefined
  beforeStored: Promise<unknown> = Promise.resolve()

  run<T>(context: AuditContext, work: () => T): T {
    return runWithAuditContext(context, work)
  }

  async recordDurably(event: AuditEvent): Promise<void> {
    const context = { ...currentAuditContext() }
    await this.beforeStored
    if (this.failure) throw this.failure
    this.rows.push({ event, context })
  }

  get events(): AuditEvent[] {
    return this.rows.map(row => row.event)
  }

  get actions(): string[] {
    return this.events.map(event => event.action)
  }
}
