import { describe, expect, test } from 'vitest'
import { currentAuditContext, runWithAuditContext } from '../../src/collection/context.ts'
import {
  addressFrom,
  correlationIdFrom,
  hashSessionId,
  isUnsafe,
  runIdentified,
  traceparentFrom,
  userAgentFrom,
} from '../../src/collection/request.ts'

describe('what a client sends', () => {
  test('the first safe correlation id is taken, else a new one is made', () => {
    expect(correlationIdFrom(undefined, 'a b', 'ok-1', 'ok-2')).toBe('ok-1')
    expect(correlationIdFrom('a\n')).toMatch(/^[\da-f-]{36}$/)
    expect(correlationIdFrom()).not.toBe(correlationIdFrom())
  })

  test.each([
    [`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, true],
    [`00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`, false],
    [`00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-x`, false],
    ['', false],
  ])('the trace parent %s is valid: %s', (header, isValid) => {
    expect(traceparentFrom(header)).toBe(isValid ? header : undefined)
  })

  test('an IPv4 address is shown as one', () => {
    expect(addressFrom('::ffff:10.0.0.7')).toBe('10.0.0.7')
    expect(addressFrom('2001:db8::1')).toBe('2001:db8::1')
  })

  test('an agent is cut, and none is none', () => {
    expect(userAgentFrom('x'.repeat(1000))).toHaveLength(512)
    expect(userAgentFrom('')).toBeUndefined()
  })

  test('a method nobody knows may change something', () => {
    expect(['GET', 'HEAD', 'OPTIONS', 'TRACE'].map(isUnsafe)).toEqual([false, false, false, false])
    expect(['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'get'].map(isUnsafe)).not.toContain(false)
  })
})

describe('runIdentified', () => {
  test('asks who it is whenever the context is read, over what the context around says', () => {
    let userId: string | undefined
    runWithAuditContext({ actor: { id: 'cron', type: 'service' }, tenantId: 't0', correlationId: 'c' }, () => {
      runIdentified(
        () => ({ actor: userId === undefined ? undefined : { id: userId, type: 'user' }, sessionId: userId && 's1' }),
        () => {
          expect({ ...currentAuditContext() }).toMatchObject({
            actor: { id: 'cron' },
            tenantId: 't0',
            correlationId: 'c',
          })
          userId = 'u1'
          expect({ ...currentAuditContext() }).toMatchObject({
            actor: { id: 'u1', type: 'user' },
            sessionId: hashSessionId('s1'),
            tenantId: 't0',
          })
        },
      )
    })
  })
})
