import { describe, expect, test } from 'vitest'
import type { AuditEvent } from '../../src/audit-event.ts'
import { AuditError, AuditEventError } from '../../src/errors.ts'
import { checkEvent } from '../../src/processing/check-event.ts'

describe('checkEvent', () => {
  test.each([
    'document.publish',
    'authn_login_success',
    'http.request',
    'a',
    'Report-Export',
    'sys:startup',
    'a.b.c_d.9',
  ])('takes the action %s', action => {
    expect(() => checkEvent({ action })).not.toThrow()
  })

  test.each([
    '',
    ' ',
    'a b',
    '.a',
    'a.',
    'a..b',
    '9a',
    'a\n',
    'a\u0000',
    'ä',
    'a/b',
    'a'.repeat(129),
    7,
    null,
    undefined,
  ])('refuses the action %j', action => {
    expect(() => checkEvent({ action } as AuditEvent)).toThrow(AuditEventError)
  })

  test.each([
    ['outcome', { outcome: 'ok' }],
    ['severity', { severity: 'debug' }],
    ['resource', { resource: 'document' }],
    ['resource', { resource: null }],
    ['resource.type', { resource: { id: '1' } }],
    ['resource.type', { resource: { type: '' } }],
    ['request.method', { request: { path: '/' } }],
    ['request.path', { request: { method: 'GET' } }],
    ['oldValues', { oldValues: [] }],
    ['newValues', { newValues: 'x' }],
    ['metadata', { metadata: null }],
  ])('names %s and what was expected there', (field, part) => {
    let thrown: unknown
    try {
      checkEvent({ action: 'a.b', ...part } as AuditEvent)
    } catch (error) {
      thrown = error
    }
    expect(AuditError.isInstance(thrown)).toBe(true)
    expect(thrown).toMatchObject({ code: 'AUDIT_EVENT_INVALID', field, name: 'AuditEventError' })
    expect((thrown as AuditEventError).message).toBe(
      `The audit event's ${field} must be ${(thrown as AuditEventError).expected}.`,
    )
  })

  test('hostile data is not refused here: it is cleaned', () => {
    const event = { action: 'a.b', message: '\u0000', resource: { type: 'x', id: '\uD800'.repeat(10_000) } }
    expect(() => checkEvent(event)).not.toThrow()
  })
})
