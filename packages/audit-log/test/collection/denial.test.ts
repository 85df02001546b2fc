import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, onTestFinished, test } from 'vitest'
import { decisionChannel } from '../../src/collection/decision.ts'
import { recordDenials } from '../../src/collection/denial.ts'
import { MemoryLog } from '../support/memory-log.ts'

function deny(permission: string): void {
  channel(decisionChannel).publish({ allowed: false, permission, reason: 'not-granted', subjectId: 'u1' })
}

test('the denials of a task are recorded before it ends', async () => {
  const log = new MemoryLog()
  const result = await recordDenials(log, async () => {
    deny('document:publish')
    return 7
  })
  expect(result).toBe(7)
  expect(log.events).toEqual([
    {
      action: 'authz_fail',
      outcome: 'denied',
      severity: 'critical',
      resource: { type: 'permission', id: 'document:publish' },
      metadata: { reason: 'not-granted', subjectId: 'u1', times: 1 },
    },
  ])
})

test('a task that fails keeps its error and its denials are recorded', async () => {
  const log = new MemoryLog()
  const error = new Error('denied')
  const work = recordDenials(log, async () => {
    deny('document:publish')
    throw error
  })
  await expect(work).rejects.toBe(error)
  expect(log.actions).toEqual(['authz_fail'])
})

test('a task whose denials cannot be stored fails', async () => {
  const log = new MemoryLog()
  log.failure = new Error('down')
  await expect(recordDenials(log, async () => deny('document:publish'))).rejects.toBe(log.failure)
})

test('a failed task keeps its error although its denials cannot be stored, and the operator is told', async () => {
  const log = new MemoryLog()
  log.failure = new Error('down')
  const told: unknown[] = []
  const listen = (message: unknown): void => void told.push(message)
  subscribe('countersign.audit-log.unrecorded', listen)
  onTestFinished(() => void unsubscribe('countersign.audit-log.unrecorded', listen))
  const error = new Error('denied')
  const work = recordDenials(log, async () => {
    deny('document:publish')
    throw error
  })
  await expect(work).rejects.toBe(error)
  expect(told).toEqual([{ action: 'authz_fail', error: log.failure }])
})

test('with nobody listening the loss becomes a process warning', async () => {
  const log = new MemoryLog()
  log.failure = new Error('down')
  const warned = new Promise<Error>(resolve => process.once('warning', resolve))
  await recordDenials(log, async () => {
    deny('document:publish')
    throw new Error('denied')
  }).catch(() => {})
  expect(await warned).toMatchObject({ code: 'AUDIT_NOT_RECORDED', message: expect.stringContaining('down') as string })
})
