import type { AuditEvent, Resource } from '../audit-event.ts'
import { AuditEventError } from '../errors.ts'

const actionName = /^[A-Za-z]\w*(?:[.:-]\w+)*$/
const longestAction = 128
const outcomes = new Set<unknown>(['success', 'failure', 'denied', undefined])
const severities = new Set<unknown>(['info', 'warn', 'critical', undefined])

/**
 * Checks the parts of an event that code chooses. What comes from data (texts, ids, values) is never refused: it is cut and
 * cleaned, since a hostile title must not make its own recording fail.
 *
 * @throws AuditEventError `AUDIT_EVENT_INVALID`, naming the field and what was expected.
 */
export function checkEvent(event: AuditEvent): void {
  const { action, outcome, severity, resource, request } = event
  expect(
    'action',
    isAction(action),
    'words of letters, digits and _ joined by . : or -, at most 128 characters together',
  )
  expect('outcome', outcomes.has(outcome), 'success, failure or denied')
  expect('severity', severities.has(severity), 'info, warn or critical')
  if (resource !== undefined) checkResource(resource)
  if (request !== undefined) {
    expect('request.method', isName(request.method), 'a text that is not empty')
    expect('request.path', typeof request.path === 'string', 'a text')
  }
  for (const field of ['oldValues', 'newValues', 'metadata'] as const) {
    expect(field, event[field] === undefined || isFields(event[field]), 'an object of fields by name')
  }
}

function checkResource(resource: Resource): void {
  expect('resource', isFields(resource), 'an object with a type')
  expect('resource.type', isName(resource.type), 'a text that is not empty')
}

function isAction(action: unknown): boolean {
  return typeof action === 'string' && action.length <= longestAction && actionName.test(action)
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isFields(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function expect(field: string, holds: boolean, expected: string): void {
  if (!holds) throw new AuditEventError(field, expected)
}
