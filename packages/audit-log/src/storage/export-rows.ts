import type { AuditRow } from '../audit-event.ts'

/** Rows as `audit.query` gives them. */
type Rows = AsyncIterable<AuditRow> | Iterable<AuditRow>

const columns = [
  'createdAt',
  'action',
  'outcome',
  'severity',
  'actorType',
  'userId',
  'impersonatorId',
  'tenantId',
  'resourceType',
  'resourceId',
  'resourceRepr',
  'message',
  'requestMethod',
  'requestPath',
  'responseStatus',
  'durationMs',
  'ipAddress',
  'userAgent',
  'sessionId',
  'correlationId',
  'causationId',
  'oldValues',
  'newValues',
  'requestData',
  'metadata',
  'source',
  'id',
] as const satisfies readonly (keyof AuditRow)[]

/**
 * Writes rows as JSON, one object a line, as they are read: of any number of rows only a page is in memory.
 *
 * @param rows - What `audit.query` returns, or any rows.
 * @returns The lines, each with its line break.
 * @example
 * ```ts
 * import { toJsonLines, type AuditLog } from '@countersign/audit-log'
 * import { createWriteStream } from 'node:fs'
 * import { Readable } from 'node:stream'
 * import { pipeline } from 'node:stream/promises'
 *
 * export async function exportDenials(audit: AuditLog): Promise<void> {
 *   await pipeline(Readable.from(toJsonLines(audit.query({ outcome: 'denied' }))), createWriteStream('denials.ndjson'))
 * }
 * ```
 */
export async function* toJsonLines(rows: Rows): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`
}

/**
 * Writes rows as CSV (RFC 4180) with a line of column names, as they are read. A cell that a spreadsheet would take for a
 * formula begins with an apostrophe instead (OWASP, CSV Injection).
 *
 * @param rows - What `audit.query` returns, or any rows.
 * @returns The lines, each with its line break.
 */
export async function* toCsv(rows: Rows): AsyncGenerator<string> {
  yield `${columns.join(',')}\r\n`
  for await (const row of rows) yield `${columns.map(column => cell(row[column])).join(',')}\r\n`
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? harmless(value) : JSON.stringify(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Spreadsheets skip white space and, in some places, take the full-width signs for the plain ones. */
function harmless(text: string): string {
  return /^[\s]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/.test(text) ? `'${text}` : text
}
