import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import {
  backoff,
  createQueue,
  defineTask,
  type ContextCarrier,
  type Queue,
  type QueueOptions,
  type Schema,
  type Transport,
} from '../../src/index.ts'
import { numberEvent, numberTask } from './schemas.ts'
import { gate, until } from './wait.ts'

/** What a queue does, whatever transport is below it. */
export function queueBehaviour(create: () => Transport): void {
  const open: Queue[] = []
  const queueOf = (options: Partial<QueueOptions> = {}): Queue => {
    const queue = createQueue({ transport: create(), prefix: `t${randomBytes(5).toString('hex')}-`, ...options })
    open.push(queue)
    return queue
  }
  afterEach(async () => {
    await Promise.all(open.splice(0).map(queue => queue.close({ drainMs: 0 })))
  })

  test('a task reaches its handler with its id and attempt', async () => {
    const queue = queueOf()
    await queue.ready()
    const task = numberTask('invite.send')
    const seen: unknown[] = []
    const worker = queue.work(task, async (input, { id, attempt, signal, headers }) => {
      seen.push({ input, id, attempt, aborted: signal.aborted, headers })
    })
    const sent = await queue.enqueue(task, { n: 1 }, { id: 'one', priority: 'high', delayMs: 0 })
    expect(sent).toEqual({ id: 'one' })
    await until(() => seen.length === 1)
    expect(seen).toEqual([{ input: { n: 1 }, id: 'one', attempt: 1, aborted: false, headers: {} }])
    expect(await worker.stop({ drainMs: 1000 })).toEqual({ unfinished: 0 })
  })

  test('a failing task is tried again after its delay, and is dead when its attempts are used up', async () => {
    const queue = queueOf()
    const task = numberTask('fails', { retry: backoff({ attempts: 3, immediate: 1, firstMs: 250 }) })
    const calls: { attempt: number; at: number }[] = []
    queue.work(task, async (_input, { attempt }) => {
      calls.push({ attempt, at: Date.now() })
      throw new RangeError(`no luck ${attempt}`)
    })
    await queue.enqueue(task, { n: 7 }, { id: 'seven', headers: { actor: 'u1' } })
    await until(async () => (await queue.dead(task).count()) === 1)
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect((calls[2]?.at ?? 0) - (calls[1]?.at ?? 0)).toBeGreaterThanOrEqual(249)
    const [letter] = await queue.dead(task).list({ limit: 20 })
    expect(letter).toMatchObject({
      id: 'seven',
      name: 'fails',
      input: { n: 7 },
      headers: { actor: 'u1' },
      reason: 'failed',
      errorType: 'RangeError',
      errorMessage: 'no luck 3',
      attempts: 3,
    })
    expect(letter?.stackDigest).toMatch(/^[0-9a-f]{16}$/)
    expect(Math.abs((letter?.at ?? 0) - Date.now())).toBeLessThan(10_000)
  })

  test('dead tasks are redriven with their attempts counted anew, one by its id or all of them', async () => {
    const queue = queueOf()
    const task = numberTask('redriven', { retry: backoff({ attempts: 1, firstMs: 0 }) })
    let broken = true
    const done: { n: number; attempt: number }[] = []
    queue.work(task, async ({ n }, { attempt }) => {
      if (broken) throw new Error('broken')
      done.push({ n, attempt })
    })
    for (const n of [1, 2, 3]) await queue.enqueue(task, { n }, { id: `id-${n}`, priority: 'low' })
    await until(async () => (await queue.dead(task).count()) === 3)
    broken = false
    expect(await queue.dead(task).redrive({ ids: ['id-2'] })).toEqual({ redriven: 1 })
    await until(() => done.length === 1)
    expect(done).toEqual([{ n: 2, attempt: 1 }])
    await until(async () => (await queue.dead(task).count()) === 2)
    expect(await queue.dead(task).purge({ ids: ['id-1'] })).toEqual({ purged: 1 })
    await until(async () => (await queue.dead(task).count()) === 1)
    expect(await queue.dead(task).redrive()).toEqual({ redriven: 1 })
    await until(() => done.length === 2)
    expect(done.map(({ n }) => n)).toEqual([2, 3])
    expect(await queue.dead(task).list()).toEqual([])
  })

  test('a payload that fails its schema goes nowhere when it is sent, and to the dead queue when it arrives', async () => {
    const queue = queueOf()
    const task = numberTask('strict')
    const lax = defineTask({ name: 'strict', schema: anything })
    const called: unknown[] = []
    queue.work(task, input => called.push(input))
    await expect(queue.enqueue(task, { n: 1.5 })).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
      issues: [{ path: ['n'], message: 'must be integer' }],
    })
    await queue.enqueue(lax, { n: 'three' }, { id: 'bad' })
    await until(async () => (await queue.dead(task).count()) === 1)
    expect(await queue.dead(task).list()).toMatchObject([
      { id: 'bad', reason: 'invalid', attempts: 1, input: { n: 'three' } },
    ])
    expect(called).toEqual([])
  })

  test('a body that is not JSON goes to the dead queue and not round', async () => {
    const queue = queueOf()
    const task = numberTask('garbled')
    queue.work(task, () => undefined)
    await queue.publish({
      kind: 'task',
      name: 'garbled',
      id: 'garbage',
      priority: 'normal',
      headers: {},
      body: Buffer.from('{"n":'),
    })
    await until(async () => (await queue.dead(task).count()) === 1)
    expect(await queue.dead(task).list()).toMatchObject([{ id: 'garbage', reason: 'undecodable', input: '{"n":' }])
  })

  test('a handler that does not settle is given up in time, its signal aborts, and the task is tried again', async () => {
    const queue = queueOf()
    const task = numberTask('hangs', { timeoutMs: 50, retry: backoff({ attempts: 2, firstMs: 0 }) })
    const reasons: unknown[] = []
    queue.work(task, (_input, { signal }) => {
      signal.addEventListener('abort', () => reasons.push(signal.reason))
      return new Promise(() => undefined)
    })
    await queue.enqueue(task, { n: 1 })
    await until(async () => (await queue.dead(task).count()) === 1)
    expect(reasons).toMatchObject([{ code: 'HANDLER_TIMEOUT' }, { code: 'HANDLER_TIMEOUT' }])
    expect(await queue.dead(task).list()).toMatchObject([{ errorMessage: 'the handler took longer than 50 ms' }])
  })

  test('high priority starts before normal, and normal before low', async () => {
    const queue = queueOf()
    const task = numberTask('ranked')
    const order: string[] = []
    const first = gate()
    let calls = 0
    for (const priority of ['low', 'normal', 'high'] as const) {
      for (const n of [1, 2]) await queue.enqueue(task, { n }, { id: `${priority}-${n}`, priority })
    }
    const worker = queue.work(task, async (_input, { id }) => {
      order.push(id)
      calls += 1
      if (calls === 1) await first.opened
    })
    await until(async () => {
      const { high, normal, low } = await queue.depth(task)
      return high + normal + low === 3
    })
    first.open()
    await until(() => order.length === 6)
    await worker.stop()
    const ranks = order.slice(1).map(id => id.split('-')[0])
    expect(ranks).toEqual([...ranks].sort((a, b) => rankOf(a) - rankOf(b)))
  })

  test('low priority is not starved by a steady flow of high priority', async () => {
    const queue = queueOf()
    const task = numberTask('fair')
    let high = 0
    let highBeforeLow = -1
    for (let n = 0; n < 40; n += 1) await queue.enqueue(task, { n }, { priority: 'high' })
    await queue.enqueue(task, { n: 0 }, { id: 'low', priority: 'low' })
    queue.work(task, async (_input, { id }) => {
      if (id === 'low') highBeforeLow = high
      high += 1
      await new Promise(resolve => setTimeout(resolve, 5))
    })
    await until(() => highBeforeLow >= 0)
    expect(highBeforeLow).toBeLessThan(20)
  })

  test('stop waits for running handlers and takes nothing new', async () => {
    const queue = queueOf()
    const task = numberTask('drained')
    const started = gate()
    const finish = gate()
    const done: number[] = []
    const worker = queue.work(task, async ({ n }) => {
      started.open()
      await finish.opened
      done.push(n)
    })
    for (const n of [1, 2, 3]) await queue.enqueue(task, { n })
    await started.opened
    const stopping = worker.stop({ drainMs: 5000 })
    finish.open()
    expect(await stopping).toEqual({ unfinished: 0 })
    expect(done).toEqual([1])
    await until(async () => (await queue.depth(task)).normal === 2)
  })

  test('what is not done by the end of the drain is aborted and done by another worker', async () => {
    const queue = queueOf()
    const task = numberTask('handed-on')
    const started = gate()
    let reason: unknown
    const worker = queue.work(task, async (_input, { signal }) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason
      })
      started.open()
      await new Promise(() => undefined)
    })
    await queue.enqueue(task, { n: 1 }, { id: 'slow' })
    await started.opened
    expect(await worker.stop({ drainMs: 20 })).toEqual({ unfinished: 1 })
    expect(reason).toMatchObject({ code: 'QUEUE_CLOSED' })
    const again = gate<{ id: string; attempt: number }>()
    queue.work(task, (_input, { id, attempt }) => {
      again.open({ id, attempt })
    })
    expect(await again.opened).toEqual({ id: 'slow', attempt: 1 })
  })

  test('the context of the caller is captured and restored around the handler', async () => {
    const storage = new AsyncLocalStorage<string>()
    const carrier: ContextCarrier = {
      capture: () => ({ actor: storage.getStore() ?? 'nobody' }),
      run: (headers, work) => storage.run(headers.actor ?? 'nobody', work),
    }
    const queue = queueOf({ carrier })
    const task = numberTask('joined')
    const seen = gate<{ store: string | undefined; headers: unknown }>()
    queue.work(task, async (_input, { headers }) => {
      await Promise.resolve()
      seen.open({ store: storage.getStore(), headers })
    })
    await storage.run('u1', () => queue.enqueue(task, { n: 1 }, { headers: { tenant: 't1' } }))
    expect(await seen.opened).toEqual({ store: 'u1', headers: { actor: 'u1', tenant: 't1' } })
  })

  test('every group receives an event once, however many workers it has', async () => {
    const queue = queueOf()
    const event = numberEvent('user.changed')
    const seen: string[] = []
    const start = (group: string): Promise<void> =>
      queue.subscribe(event, { group }, ({ n }) => void seen.push(`${group} ${n}`)).ready()
    await Promise.all([start('audit'), start('mail'), start('mail')])
    for (const n of [1, 2, 3]) await queue.emit(event, { n })
    await until(() => seen.length === 6)
    expect(seen.sort()).toEqual(['audit 1', 'audit 2', 'audit 3', 'mail 1', 'mail 2', 'mail 3'])
  })

  test('an event that a group cannot handle is dead for that group alone', async () => {
    const queue = queueOf()
    const event = numberEvent('partly')
    await queue.subscribe(event, { group: 'good' }, () => undefined).ready()
    await queue
      .subscribe(event, { group: 'bad' }, () => {
        throw new Error('not today')
      })
      .ready()
    await queue.emit(event, { n: 1 }, { id: 'e1' })
    await until(async () => (await queue.dead(event, { group: 'bad' }).count()) === 1)
    expect(await queue.dead(event, { group: 'bad' }).list()).toMatchObject([{ id: 'e1', attempts: 3 }])
    expect(await queue.dead(event, { group: 'good' }).count()).toBe(0)
  })
}

function rankOf(priority: string | undefined): number {
  return ['high', 'normal', 'low'].indexOf(priority ?? '')
}

const anything: Schema<unknown> = {
  '~standard': { version: 1, vendor: 'test', validate: value => ({ value }) },
}
