import { expect, test } from 'vitest'
import { carrier } from '../src/collection/carrier.ts'
import { currentAuditContext, runWithAuditContext, type AuditContext } from '../src/collection/context.ts'

const full: AuditContext = {
  actor: { id: 'u1', type: 'user', impersonatorId: 'root' },
  correlationId: 'c1',
  causationId: 'p1',
  sessionId: 's1',
  ip: '10.0.0.1',
  userAgent: 'curl',
  tenantId: 't1',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
}

test('a context travels as text and is in effect where it arrives', () => {
  const headers = runWithAuditContext(full, () => carrier.capture())
  expect(Object.values(headers).every(value => typeof value === 'string')).toBe(true)
  expect(carrier.run(JSON.parse(JSON.stringify(headers)) as Record<string, unknown>, currentAuditContext)).toEqual(full)
})

test('without a context nothing travels, and nothing of the receiver’s context is kept', () => {
  expect(carrier.capture()).toEqual({})
  expect(runWithAuditContext(full, () => carrier.run({}, currentAuditContext))).toEqual({})
})

test('headers that capture did not write are ignored', () => {
  const context = carrier.run(
    {
      'correlation-id': 5,
      'causation-id': 'x'.repeat(1000),
      'audit-actor-id': 'u1',
      'audit-actor-type': 'admin',
      'audit-tenant-id': ['t'],
      other: 'x',
    },
    currentAuditContext,
  )
  expect(context).toEqual({})
})

test('a query that is only built inside is run inside', async () => {
  const query: PromiseLike<string | undefined> = {
    then: (resolve, reject) => Promise.resolve(currentAuditContext()?.actor?.id).then(resolve, reject),
  }
  expect(await runWithAuditContext(full, () => query)).toBe('u1')
  expect(await carrier.run({ 'audit-actor-id': 'u2', 'audit-actor-type': 'service' }, () => query)).toBe('u2')
})

test('a promise is handed back as it is', () => {
  const promise = Promise.resolve(1)
  expect(runWithAuditContext(full, () => promise)).toBe(promise)
})
