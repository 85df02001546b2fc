import type { AuditEvent } from '../audit-event.ts'
import { collectDecisions, type CountedDecision } from './decision.ts'
import { reportUnrecorded } from './unrecorded.ts'

/** What recording denials needs of an audit log. */
export interface DenialRecorder {
  /** Resolves once the event is durable. */
  recordDurably(event: AuditEvent): Promise<unknown>
}

const action = 'authz_fail'

/**
 * Makes the event of a denial, at level critical.
 * Source: OWASP Application Logging Vocabulary, section Authorization.
 */
export function denialEvent({ allowed: _, permission, ...facts }: CountedDecision): AuditEvent {
  return {
    action,
    outcome: 'denied',
    severity: 'critical',
    resource: { type: 'permission', id: permission },
    metadata: facts,
  }
}

/**
 * Runs work outside of a request, such as a queue's task, and records the denials of rbac-core's guards in it.
 *
 * @param audit - The log.
 * @param work - Runs once; its denials are durable before this settles.
 * @returns What `work` returns. An error of `work` reaches the caller as it is; where the rows of its denials could not be
 *   stored as well, that goes to the channel `countersign.audit-log.unrecorded`.
 * @example
 * ```ts
 * import { recordDenials, type AuditLog } from '@countersign/audit-log'
 *
 * declare const audit: AuditLog
 * declare function publish(id: string): Promise<void>
 * export const task = (input: { id: string }) => recordDenials(audit, () => publish(input.id))
 * ```
 */
export async function recordDenials<T>(audit: DenialRecorder, work: () => Promise<T>): Promise<T> {
  return collectDecisions(async decisions => {
    const record = async (): Promise<void> => {
      await Promise.all(decisions().denied.map(decision => audit.recordDurably(denialEvent(decision))))
    }
    let result: T
    try {
      result = await work()
    } catch (error) {
      await record().catch((failure: unknown) => reportUnrecorded(action, failure))
      throw error
    }
    await record()
    return result
  })
}
