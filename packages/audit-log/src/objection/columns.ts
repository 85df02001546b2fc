import type { AuditRow } from '../audit-event.ts'

/** The columns that a row written by the app fills; the database fills the others. */
export const columnOf: Readonly<Record<keyof AuditRow, string>> = {
  id: 'id',
  createdAt: 'created_at',
  action: 'action',
  outcome: 'outcome',
  severity: 'severity',
  actorType: 'actor_type',
  userId: 'user_id',
  impersonatorId: 'impersonator_id',
  sessionId: 'session_id',
  ipAddress: 'ip_address',
  userAgent: 'user_agent',
  tenantId: 'tenant_id',
  correlationId: 'correlation_id',
  causationId: 'causation_id',
  resourceType: 'resource_type',
  resourceId: 'resource_id',
  resourceRepr: 'resource_repr',
  requestMethod: 'request_method',
  requestPath: 'request_path',
  requestData: 'request_data',
  responseStatus: 'response_status',
  durationMs: 'duration_ms',
  oldValues: 'old_values',
  newValues: 'new_values',
  metadata: 'metadata',
  message: 'message',
  source: 'source',
}

const fields = Object.keys(columnOf) as (keyof AuditRow)[]
const jsonFields: ReadonlySet<keyof AuditRow> = new Set(['requestData', 'oldValues', 'newValues', 'metadata'])

export const columnList: string = Object.values(columnOf).join(', ')

/** The select list that reads a row as `AuditRow`; the time is made text by the database, free of time zones. */
export const selectList: string = fields
  .map(field =>
    field === 'createdAt'
      ? `to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt"`
      : `${columnOf[field]} as "${field}"`,
  )
  .join(', ')

export const columnCount: number = fields.length

/** Returns a row's values in the order of `columnList`. */
export function valuesOf(row: AuditRow): (string | number | null)[] {
  return fields.map(field => {
    const value = row[field]
    if (value === null) return null
    return jsonFields.has(field) ? JSON.stringify(value) : (value as string | number)
  })
}
