import type { AuditEvent, AuditRow } from '../audit-event.ts'
import type { AuditContext } from '../collection/context.ts'
import { AuditEventError } from '../errors.ts'
import { checkEvent } from '../processing/check-event.ts'
import type { Sanitize } from '../processing/sanitize.ts'
import { wellFormed } from '../processing/text.ts'
import { isUuidv7, timeOfUuidv7, uuidv7 } from '../uuid.ts'

// Three indexed texts of four bytes a character must fit an index entry of PostgreSQL (2,700 bytes).
const identifierLength = 200
const textLength = 2000

/** Makes the row of an event that happened in `context`; its time is the millisecond inside its id. */
export function auditRow(event: AuditEvent, context: AuditContext | undefined, sanitize: Sanitize): AuditRow {
  checkEvent(event)
  const id = event.id ?? uuidv7()
  if (!isUuidv7(id)) throw new AuditEventError('id', 'a UUID of version 7 in lower case')
  const { actor } = context ?? {}
  const { resource, request } = event
  const fields = (value: unknown) => (value === undefined ? null : (sanitize(value) as AuditRow['metadata']))
  // Free text may hold a secret; an identifier is what it is. Cut afterwards: half a secret would not be recognised.
  const shown = (value: unknown) => (value === undefined ? null : text(sanitize(value), textLength))
  return {
    id,
    createdAt: new Date(timeOfUuidv7(id)).toISOString(),
    action: identifier(event.action) ?? '',
    outcome: event.outcome ?? 'success',
    severity: event.severity ?? 'info',
    actorType: actor?.type ?? null,
    userId: identifier(actor?.id),
    impersonatorId: identifier(actor?.impersonatorId),
    sessionId: identifier(context?.sessionId),
    ipAddress: identifier(context?.ip),
    userAgent: text(context?.userAgent, textLength),
    tenantId: identifier(context?.tenantId),
    correlationId: identifier(context?.correlationId),
    causationId: identifier(context?.causationId),
    resourceType: identifier(resource?.type),
    resourceId: identifier(resource?.id),
    resourceRepr: shown(resource?.repr),
    requestMethod: identifier(request?.method),
    requestPath: shown(request?.path),
    requestData: request?.data === undefined ? null : sanitize(request.data),
    responseStatus: whole(request?.status, 32_767),
    durationMs: whole(request?.durationMs, 2_147_483_647),
    oldValues: fields(event.oldValues),
    newValues: fields(event.newValues),
    metadata: fields(context?.traceparent ? { traceparent: context.traceparent, ...event.metadata } : event.metadata),
    message: shown(event.message),
    source: identifier(context?.source),
  }
}

function identifier(value: string | undefined): string | null {
  return text(value, identifierLength)
}

/** Callers in plain JavaScript pass what they like, and recording it must not fail their action. */
function text(value: unknown, length: number): string | null {
  if (value === undefined || value === null) return null
  const whole = typeof value === 'string' ? value : typeof value === 'number' ? String(value) : `[${typeof value}]`
  return wellFormed(whole.slice(0, length))
}

function whole(value: number | undefined, max: number): number | null {
  if (typeof value !== 'number' || Number.isNaN(value)) return null
  return Math.round(Math.min(Math.max(value, 0), max))
}
