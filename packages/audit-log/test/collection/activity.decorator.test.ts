import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createActivity } from '../../src/collection/activity.ts'
import { currentAuditContext } from '../../src/collection/context.ts'
import { MemoryLog } from '../support/memory-log.ts'

let log = new MemoryLog()
beforeEach(() => {
  log = new MemoryLog()
})

const activity = createActivity({
  run: (context, work) => log.run(context, work),
  recordDurably: event => log.recordDurably(event),
})

class Conflict extends Error {
  readonly code = 'CONFLICT'
}

class Reports {
  readonly owner: string = 'ada'

  @activity('report.export')
  async export(quarter: string, error?: Error): Promise<string> {
    await Promise.resolve()
    if (error) throw error
    return `${this.owner} ${quarter}`
  }

  @activity('report.share', {
    arguments: true,
    result: true,
    severity: 'warn',
    resource: ([id]) => ({ type: 'report', id: String(id) }),
  })
  async share(id: string, to: string[]): Promise<number> {
    return to.length + id.length
  }

  @activity('report.close', { arguments: ([year]) => ({ year }), result: count => ({ count }) })
  async close(year: number): Promise<number> {
    await this.export(String(year))
    return 4
  }

  @activity('report.count')
  static async count(): Promise<number> {
    return 1
  }
}

describe('activity', () => {
  test('a call is recorded with its duration, and without arguments and result', async () => {
    expect(await new Reports().export('q3')).toBe('ada q3')
    expect(log.events).toEqual([
      {
        id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7/) as string,
        action: 'report.export',
        outcome: 'success',
        severity: 'info',
        resource: undefined,
        metadata: { durationMs: expect.any(Number) as number },
      },
    ])
  })

  test('arguments, result, resource and level are recorded as chosen', async () => {
    await new Reports().share('r1', ['bob', 'eve'])
    expect(log.events[0]).toMatchObject({
      severity: 'warn',
      resource: { type: 'report', id: 'r1' },
      metadata: { arguments: ['r1', ['bob', 'eve']], result: 4 },
    })
  })

  test('what is done inside names the activity as its cause', async () => {
    await log.run({ causationId: 'request' }, () => new Reports().close(2026))
    const [inner, outer] = log.rows
    expect(inner?.event.action).toBe('report.export')
    expect(inner?.context.causationId).toBe(outer?.event.id)
    expect(outer?.context.causationId).toBe('request')
    expect(outer?.event.metadata).toMatchObject({ arguments: { year: 2026 }, result: { count: 4 } })
  })

  test('a failure is recorded with the code of its error, which reaches the caller as it is', async () => {
    const error = new Conflict('the secret plan is taken')
    await expect(new Reports().export('q3', error)).rejects.toBe(error)
    expect(log.events[0]).toMatchObject({
      outcome: 'failure',
      severity: 'warn',
      metadata: { error: { name: 'Error', code: 'CONFLICT' } },
    })
    expect(JSON.stringify(log.events)).not.toContain('secret plan')
  })

  test('a denial is recorded as one', async () => {
    const error = Object.assign(new Error('no'), { code: 'PERMISSION_DENIED' })
    await expect(new Reports().export('q3', error)).rejects.toBe(error)
    expect(log.events[0]?.outcome).toBe('denied')
  })

  test('static methods are recorded', async () => {
    expect(await Reports.count()).toBe(1)
    expect(log.actions).toEqual(['report.count'])
  })

  test('the call settles once its row is durable', async () => {
    let store: (() => void) | undefined
    log.beforeStored = new Promise<void>(resolve => (store = resolve))
    let settled = false
    const call = new Reports().export('q3').then(() => (settled = true))
    await new Promise(resolve => setImmediate(resolve))
    expect(settled).toBe(false)
    store?.()
    await call
    expect(log.rows).toHaveLength(1)
  })

  test('a call that cannot be recorded is rejected', async () => {
    log.failure = new Error('down')
    await expect(new Reports().export('q3')).rejects.toBe(log.failure)
  })

  test('an error is never replaced by the failure to record it', async () => {
    log.failure = new Error('down')
    const told: unknown[] = []
    const listen = (message: unknown): void => void told.push(message)
    subscribe('countersign.audit-log.unrecorded', listen)
    onTestFinished(() => void unsubscribe('countersign.audit-log.unrecorded', listen))
    const error = new Conflict('taken')
    await expect(new Reports().export('q3', error)).rejects.toBe(error)
    expect(told).toEqual([{ action: 'report.export', error: log.failure }])
  })

  test('a function that tells the resource is asked first: if it throws, nothing is done', async () => {
    let done = false
    const work = activity('report.export', {
      resource: () => {
        throw new TypeError('no id')
      },
    }).wrap(async () => {
      done = true
    })
    await expect(work()).rejects.toThrow('no id')
    expect(done).toBe(false)
  })

  test('a wrapped function keeps its name, its length and its context', async () => {
    async function add(a: number, b: number): Promise<[number, string | undefined]> {
      return [a + b, currentAuditContext()?.causationId]
    }
    const wrapped = activity('sum.add').wrap(add)
    expect(wrapped.name).toBe('add')
    expect(wrapped.length).toBe(2)
    expect(await wrapped(1, 2)).toEqual([3, log.events[0]?.id])
  })

  test('a bad action name is refused where it is declared', () => {
    expect(() => activity('report export')).toThrow(/action/)
  })
})
