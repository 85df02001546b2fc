export type { Actor, AuditEvent, AuditRow, Outcome, RequestFacts, Resource, Severity } from './audit-event.ts'
export type { AuditFilter } from './audit-filter.ts'
export { createAuditLog, type AuditLog, type AuditLogOptions, type RecordDurablyOptions } from './audit-log.ts'
export type { AuditCarrier } from './collection/carrier.ts'
export { currentAuditContext, type AuditContext } from './collection/context.ts'
export {
  AuditError,
  AuditEventError,
  AuditLogClosedError,
  AuditNotDurableError,
  AuditOptionError,
  AuditQueueFullError,
  AuditTransactionRequiredError,
  NotRecordedError,
} from './errors.ts'
export { createSanitize, type Sanitize, type SanitizeOptions } from './processing/sanitize.ts'
export type { AuditStore } from './storage/audit-store.ts'
