export type { Actor, AuditEvent, AuditRow, Outcome, RequestFacts, Resource, Severity } from './audit-event.ts'
export type { AuditFilter } from './audit-filter.ts'
export { createAuditLog, type AuditLog, type AuditLogOptions, type RecordDurablyOptions } from './audit-log.ts'
export type { Activity, ActivityFactory, ActivityOptions } from './collection/activity.ts'
export { securityEvent, type SecurityEventName, type SecurityEvents } from './collection/auth.ts'
export type { AuditCarrier } from './collection/carrier.ts'
export { currentAuditContext, type AuditContext } from './collection/context.ts'
export { recordDenials } from './collection/denial.ts'
export { correlationIdFrom, hashSessionId } from './collection/request.ts'
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
export type { AuditSink, SinkPage, SinkReport } from './storage/audit-sink.ts'
export type { SpoolOptions } from './storage/spool.ts'
export type { AuditStore } from './storage/audit-store.ts'
export { toCsv, toJsonLines } from './storage/export-rows.ts'
