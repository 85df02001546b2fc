import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { jsonSchema } from '../src/ajv/index.ts'
import { backoff, createQueue, defineTask, QueueError, type Queue, type Schema } from '../src/index.ts'
import { memoryTransport } from '../src/memory/index.ts'
import { rabbitmqTransport } from '../src/rabbitmq/index.ts'
import { numberTask, numbered } from './support/schemas.ts'
import { until } from './support/wait.ts'

const anything: Schema<unknown> = {
  '~standard': { version: 1, vendor: 'test', validate: value => ({ value }) },
}
const loose = defineTask({ name: 'loose', schema: anything })
const open: Queue[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(queue => queue.close()))
})

function memoryQueue(maxMessages = 100): Queue {
  const queue = createQueue({ transport: memoryTransport({ maxMessages }) })
  open.push(queue)
  return queue
}

describe('a payload', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  test.each([
    ['a cycle', circular],
    ['a BigInt', { n: 1n }],
    ['nothing at all', undefined],
    ['a function', () => 1],
  ])('with %s is refused before anything is sent', async (_what, payload) => {
    const queue = memoryQueue()
    await expect(queue.enqueue(loose, payload)).rejects.toMatchObject({ code: 'INVALID_PAYLOAD', task: 'loose' })
    expect((await queue.depth(loose)).normal).toBe(0)
  })

  test('of more than 16 MiB is refused, and one of 16 MiB is sent', async () => {
    const queue = memoryQueue()
    const limit = 16 * 1024 * 1024
    await expect(queue.enqueue(loose, 'x'.repeat(limit - 1))).rejects.toThrow(
      /is 16777217 bytes of JSON and may be 16777216/,
    )
    await queue.enqueue(loose, 'x'.repeat(limit - 2))
    expect((await queue.depth(loose)).normal).toBe(1)
  })

  test('names every field that is wrong', async () => {
    await expect(memoryQueue().enqueue(numberTask('t'), { m: 1 } as never)).rejects.toThrow(
      /^t: the payload: must have required property 'n'; the payload: must NOT have additional properties$/,
    )
  })
})

test.each([
  [{ delayMs: -1 }, /delayMs must be a whole number from 0 to/],
  [{ delayMs: 1.5 }, /delayMs/],
  [{ delayMs: Number.NaN }, /delayMs/],
  [{ priority: 'urgent' }, /priority must be 'low', 'normal' or 'high', not "urgent"/],
  [{ priority: 300 }, /priority/],
  [{ id: '' }, /id must be a text of 1 to 255 bytes/],
  [{ id: 'x'.repeat(256) }, /id must be/],
  [{ id: 7 }, /id must be/],
  [{ headers: { when: new Date() } }, /headers.when must be a text/],
  [{ headers: { a: undefined } }, /headers.a must be a text, not undefined/],
  [{ headers: { a: 1n } }, /headers.a must be a text/],
  [{ headers: { a: Number.NaN } }, /headers.a must be a text/],
  [{ headers: { a: () => 1 } }, /headers.a must be a text/],
  [{ headers: { a: Symbol('s') } }, /headers.a must be a text/],
  [{ headers: { 'x-attempt': '9' } }, /headers must be named/],
  [{ headers: { '': 'a' } }, /headers must be named/],
  [{ headers: { a: 'x'.repeat(16 * 1024) } }, /headers must be at most 16384 bytes/],
])('sending with %o is refused', async (options, message) => {
  const error = await memoryQueue()
    .enqueue(numberTask('t'), { n: 1 }, options as never)
    .catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'INVALID_OPTION', message })
  expect(QueueError.isInstance(error)).toBe(true)
})

test.each([
  [() => defineTask({ name: 'a b', schema: numbered }), /name must be letters/],
  [() => defineTask({ name: '', schema: numbered }), /name must be/],
  [() => defineTask({ name: 'x'.repeat(101), schema: numbered }), /name must be/],
  [() => defineTask({ name: 'a', schema: {} as never }), /schema must be a Standard Schema/],
  [() => defineTask({ name: 'a', schema: numbered, timeoutMs: 0 }), /timeoutMs/],
  [() => defineTask({ name: 'a', schema: numbered, timeoutMs: 1_800_000 }), /timeoutMs/],
  [() => backoff({ attempts: 0, firstMs: 1 }), /attempts/],
  [() => backoff({ attempts: 1, firstMs: -1 }), /firstMs/],
  [() => backoff({ attempts: 1, firstMs: 1, factor: 0.5 }), /factor/],
  [() => memoryTransport({ maxMessages: 0 }), /maxMessages/],
  [() => createQueue({ transport: memoryTransport(), prefix: 'a/b' }), /prefix/],
  [() => createQueue({ transport: memoryTransport(), publishTimeoutMs: 0 }), /publishTimeoutMs/],
  [() => memoryQueue().work(numberTask('t'), undefined as never), /handler must be a function/],
  [() => memoryQueue().work(numberTask('t'), () => 1, { concurrency: 0 }), /concurrency/],
  [() => rabbitmqTransport({ url: 'localhost:5672' }), /url must be an amqp:\/\/ or amqps:\/\/ URL/],
  [() => rabbitmqTransport({ url: 'nonsense' }), /url must be/],
  [() => rabbitmqTransport({ url: 'http://u:sesame@h' }), /url must be .* not "one with http:\/\/"$/],
  [() => rabbitmqTransport({ url: 'amqp://h?heartbeat=0' }), /heartbeat/],
  [() => rabbitmqTransport({ url: 'amqp://h', window: 0 }), /window/],
  [() => jsonSchema({ type: 'nonsense' } as never), /schema must be a JSON Schema that ajv accepts/],
])('%# is refused where it is written', (make, message) => {
  let error: unknown
  try {
    make()
  } catch (caught) {
    error = caught
  }
  expect(error).toMatchObject({ code: 'INVALID_OPTION', message })
  expect((error as Error).message).not.toContain('sesame')
})

test('a memory queue that is full says so, and takes more when a task is done', async () => {
  const queue = memoryQueue(2)
  const task = numberTask('t')
  await queue.enqueue(task, { n: 1 })
  await queue.enqueue(task, { n: 2 })
  await expect(queue.enqueue(task, { n: 3 })).rejects.toMatchObject({ code: 'QUEUE_FULL' })
  let done = 0
  const worker = queue.work(task, () => void (done += 1))
  await until(() => done === 2)
  await worker.stop()
  await queue.enqueue(task, { n: 3 })
})

test('a closed queue refuses work and tasks', async () => {
  const queue = memoryQueue()
  await queue.close()
  await expect(queue.enqueue(numberTask('t'), { n: 1 })).rejects.toMatchObject({ code: 'QUEUE_CLOSED' })
  await expect(queue.ready()).rejects.toMatchObject({ code: 'QUEUE_CLOSED' })
})

test('any JSON value arrives as it was sent', async () => {
  const queue = memoryQueue(1000)
  const seen = new Map<string, unknown>()
  queue.work(loose, (input, { id }) => void seen.set(id, input), { concurrency: 100 })
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async value => {
      const { id } = await queue.enqueue(loose, value)
      while (!seen.has(id)) await new Promise(resolve => setImmediate(resolve))
      expect(seen.get(id)).toEqual(JSON.parse(JSON.stringify(value)))
    }),
    { numRuns: 200 },
  )
})

test('a backoff grows by its factor up to its bound, after its immediate retries', () => {
  const policy = backoff({ attempts: 8, immediate: 2, firstMs: 100, factor: 4, maxMs: 2000 })
  expect([1, 2, 3, 4, 5, 6, 7].map(attempt => policy.delayMs(attempt))).toEqual([0, 0, 100, 400, 1600, 2000, 2000])
})
