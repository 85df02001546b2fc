import type { AuditRow } from '../audit-event.ts'

/** The columns that a row written by the app fills, with their types; the database fills the others. */
const columns: Readonly<Record<keyof AuditRow, readonly [name: string, type: string]>> = {
  id: ['id', 'uuid'],
  createdAt: ['created_at', 'timestamptz'],
  action: ['action', 'text'],
  outcome: ['outcome', 'text'],
  severity: ['severity', 'text'],
  actorType: ['actor_type', 'text'],
  userId: ['user_id', 'text'],
  impersonatorId: ['impersonator_id', 'text'],
  sessionId: ['session_id', 'text'],
  ipAddress: ['ip_address', 'text'],
  userAgent: ['user_agent', 'text'],
  tenantId: ['tenant_id', 'text'],
  correlationId: ['correlation_id', 'text'],
  causationId: ['causation_id', 'text'],
  resourceType: ['resource_type', 'text'],
  resourceId: ['resource_id', 'text'],
  resourceRepr: ['resource_repr', 'text'],
  requestMethod: ['request_method', 'text'],
  requestPath: ['request_path', 'text'],
  requestData: ['request_data', 'jsonb'],
  responseStatus: ['response_status', 'smallint'],
  durationMs: ['duration_ms', 'integer'],
  oldValues: ['old_values', 'jsonb'],
  newValues: ['new_values', 'jsonb'],
  metadata: ['metadata', 'jsonb'],
  message: ['message', 'text'],
  source: ['source', 'text'],
}

const entries = Object.entries(columns)

/** The select list that reads a row as `AuditRow`; the time is made text by the database, free of time zones. */
export const selectList: string = entries
  .map(([field, [name]]) =>
    field === 'createdAt'
      ? `to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "createdAt"`
      : `${name} as "${field}"`,
  )
  .join(', ')

/**
 * Inserts rows from one JSON array. One parameter costs a quarter less than a parameter for each value (measured with 64
 * rows), and the text is the same for any number of rows.
 */
export const insertRows: string = [
  `insert into audit_logs (${entries.map(([, [name]]) => name).join(', ')})`,
  `select * from jsonb_to_recordset(?::jsonb)`,
  `as rows (${entries.map(([field, [, type]]) => `"${field}" ${type}`).join(', ')})`,
  'on conflict (id, created_at) do nothing',
].join(' ')
