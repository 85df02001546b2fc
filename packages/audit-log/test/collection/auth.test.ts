import { expect, test } from 'vitest'
import { securityEvent } from '../../src/collection/auth.ts'
import { checkEvent } from '../../src/processing/check-event.ts'
import { createSanitize } from '../../src/processing/sanitize.ts'

test('a login is recorded on its account, at the level of the vocabulary', () => {
  expect(securityEvent('authn_login_success', { userId: 'u1' })).toEqual({
    action: 'authn_login_success',
    severity: 'info',
    outcome: 'success',
    resource: { type: 'user', id: 'u1' },
    metadata: {},
  })
  expect(securityEvent('authn_login_fail', { userId: 'u1', reason: 'wrong password' })).toMatchObject({
    severity: 'warn',
    outcome: 'failure',
    metadata: { reason: 'wrong password' },
  })
})

test('a login that names no known account has no resource', () => {
  expect(securityEvent('authn_login_fail', { reason: 'unknown account' }).resource).toBeUndefined()
})

test('a change of rights has its rights before and after', () => {
  expect(securityEvent('authz_change', { userId: 'u1', from: ['viewer'], to: ['viewer', 'editor'] })).toMatchObject({
    severity: 'warn',
    resource: { type: 'user', id: 'u1' },
    oldValues: { rights: ['viewer'] },
    newValues: { rights: ['viewer', 'editor'] },
  })
  const privilege = { userId: 'u1', object: 'document:7', from: ['read'], to: ['read', 'write'] }
  expect(securityEvent('privilege_permissions_changed', privilege)).toMatchObject({
    resource: { type: 'document', id: '7' },
    metadata: { userId: 'u1' },
  })
})

test.each([
  ['authn_token_reuse', 'critical', 'denied'],
  ['session_use_after_expire', 'critical', 'denied'],
  ['authn_password_change_fail', 'critical', 'failure'],
  ['authn_token_delete', 'warn', 'success'],
  ['session_expired', 'info', 'success'],
] as const)('%s has level %s', (action, severity, outcome) => {
  const event = securityEvent(action, { userId: 'u1', tokenId: 't1', reason: 'logout' })
  expect(event).toMatchObject({ action, severity, outcome })
  expect(() => checkEvent(event)).not.toThrow()
})

test('the id of a token survives sanitization', () => {
  const { metadata } = securityEvent('authn_token_revoked', { userId: 'u1', tokenId: 't1' })
  expect(createSanitize()(metadata)).toEqual({ tokenId: 't1' })
})
