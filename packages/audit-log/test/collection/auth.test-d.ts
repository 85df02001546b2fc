import { test } from 'vitest'
import { securityEvent } from '../../src/collection/auth.ts'

test('a misspelt event and missing facts do not compile', () => {
  securityEvent('authn_login_success', { userId: 'u1' })
  securityEvent('authn_login_fail', {})
  // @ts-expect-error -- misspelt
  securityEvent('authn_login_sucess', { userId: 'u1' })
  // @ts-expect-error -- whose login?
  securityEvent('authn_login_success', {})
  // @ts-expect-error -- no such reason
  securityEvent('session_expired', { userId: 'u1', reason: 'bored' })
  // @ts-expect-error -- which token?
  securityEvent('authn_token_reuse', { userId: 'u1' })
})
