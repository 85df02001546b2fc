import { connect } from 'amqplib'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startRabbitMq, type RabbitMq } from '../../../../test/support/rabbitmq.ts'
import { createQueue, type Queue, type QueueOptions } from '../../src/index.ts'
import { createOutbox } from '../../src/postgres/index.ts'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { testDatabase } from '../support/database.ts'
import { numberTask } from '../support/schemas.ts'
import { gate, until } from '../support/wait.ts'

let broker: RabbitMq
const database = testDatabase()
const closing: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  broker = await startRabbitMq()
}, 90_000)
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(async () => {
  await broker.stop()
}, 30_000)

function queueAt(url: string, options: Partial<QueueOptions> = {}): Queue & { prefix: string } {
  const prefix = `t${randomBytes(5).toString('hex')}-`
  const queue = createQueue({ transport: rabbitmqTransport({ url }), prefix, ...options })
  closing.push(() => queue.close({ drainMs: 0 }))
  return Object.assign(queue, { prefix })
}

async function sendUntilTaken(send: () => Promise<unknown>): Promise<void> {
  await until(
    async () =>
      send().then(
        () => true,
        () => false,
      ),
    30_000,
  )
}

test('G1: every message that the broker refuses rejects, and those beside it do not', async () => {
  const task = numberTask('refused')
  const queue = queueAt(broker.url)
  await queue.enqueue(task, { n: 0 })
  const definition = '{"max-length":2,"overflow":"reject-publish"}'
  await broker.ctl('set_policy', '--apply-to', 'queues', 'full', `^${queue.prefix}refused.normal$`, definition)
  await sleep(200)
  const results = []
  for (let n = 1; n <= 6; n += 1) results.push(await queue.enqueue(task, { n }).catch((error: unknown) => error))
  await broker.ctl('clear_policy', 'full')
  const refused = results.filter(result => result instanceof Error)
  expect(refused.length).toBeGreaterThanOrEqual(3)
  for (const error of refused) expect(error).toMatchObject({ code: 'PUBLISH_REJECTED' })
  expect((await queue.depth(task)).normal).toBe(1 + results.length - refused.length)
})

test('G1, the naive way: waitForConfirms resolves after messages were refused', async () => {
  const connection = await connect(broker.url)
  const channel = await connection.createConfirmChannel()
  const name = `t${randomBytes(5).toString('hex')}`
  await channel.assertQueue(name, { maxLength: 1, overflow: 'reject-publish' })
  let answered = 0
  let refused = 0
  channel.on('ack', ({ deliveryTag }) => (answered = Math.max(answered, deliveryTag)))
  channel.on('nack', ({ deliveryTag }) => {
    answered = Math.max(answered, deliveryTag)
    refused += 1
  })
  for (let n = 0; n < 5; n += 1) channel.sendToQueue(name, Buffer.from('x'))
  await until(() => answered === 5)
  expect(refused).toBeGreaterThan(0)
  await channel.waitForConfirms()
  await connection.close()
})

test('G3 and G4: a broker that is killed and comes back finds publishers, workers and relays as if nothing was', async () => {
  const task = numberTask('survives')
  const queue = queueAt(broker.url, { publishTimeoutMs: 400 })
  const { knex } = database
  const outbox = createOutbox({ knex })
  const seen = new Map<string, number>()
  const holding = gate()
  const held = gate()
  queue.work(
    task,
    async (_input, { id }) => {
      seen.set(id, (seen.get(id) ?? 0) + 1)
      if (id !== 'held') return
      held.open()
      await holding.opened
    },
    { concurrency: 4 },
  )
  const relay = outbox.relay(queue, { pollMs: 100 })
  closing.push(() => relay.stop({ drainMs: 1000 }))
  await queue.enqueue(task, { n: 1 }, { id: 'before' })
  await queue.enqueue(task, { n: 1 }, { id: 'held' })
  await held.opened
  // RabbitMQ 3.10 may never give out a quorum queue again that was made within the second before it is killed.
  await sleep(1500)
  await broker.kill()
  await until(() => queue.state === 'down')
  const error = await queue.enqueue(task, { n: 1 }, { id: 'while-down' }).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'BROKER_UNAVAILABLE' })
  expect((error as Error).message).not.toContain('guest:')
  await knex.transaction(transaction => outbox.enqueue(task, { n: 1 }, { transaction, id: 'outboxed' }))
  // The answer of this handler goes nowhere: its channel is gone, and the broker gives the task out again.
  holding.open()
  await broker.restart()
  await sendUntilTaken(() => queue.enqueue(task, { n: 1 }, { id: 'while-down' }))
  await until(() => ['while-down', 'outboxed'].every(id => seen.has(id)), 30_000)
  await until(() => seen.get('held') === 2, 30_000)
  expect(await knex('queue_outbox').select('position')).toEqual([])

  process.kill(broker.pid, 'SIGTERM')
  await until(() => queue.state === 'down', 30_000)
  await sleep(500)
  await broker.restart()
  await sendUntilTaken(() => queue.enqueue(task, { n: 1 }, { id: 'after-stop' }))
  await until(() => seen.has('after-stop'), 30_000)
}, 120_000)

test('G6: under a memory alarm publishing rejects in time, workers go on, and it ends by itself', async () => {
  const task = numberTask('alarmed')
  const queue = queueAt(broker.url, { publishTimeoutMs: 500 })
  const done: string[] = []
  for (let n = 0; n < 5; n += 1) await queue.enqueue(task, { n }, { id: `early-${n}` })
  await broker.ctl('set_vm_memory_high_watermark', 'absolute', '1MB')
  closing.push(() => broker.ctl('set_vm_memory_high_watermark', 'absolute', '1GB'))
  const codes: string[] = []
  await until(async () => {
    await queue.enqueue(task, { n: 0 }, { id: 'late' }).catch((error: unknown) => {
      codes.push((error as { code: string }).code)
    })
    return codes.includes('BROKER_UNAVAILABLE')
  })
  expect(queue.state).toBe('blocked')
  expect(codes.filter(code => !['PUBLISH_UNKNOWN', 'BROKER_UNAVAILABLE'].includes(code))).toEqual([])
  queue.work(task, (_input, { id }) => void done.push(id), { concurrency: 5 })
  await until(() => done.filter(id => id.startsWith('early')).length === 5)
  await broker.ctl('set_vm_memory_high_watermark', 'absolute', '1GB')
  await sendUntilTaken(() => queue.enqueue(task, { n: 0 }, { id: 'late' }))
  await until(() => done.includes('late'))
}, 60_000)

test('G6: a frozen broker is found out by the heartbeat, and everything goes on when it thaws', async () => {
  const task = numberTask('thaws')
  const queue = queueAt(`${broker.url}?heartbeat=1`, { publishTimeoutMs: 300 })
  const done: string[] = []
  queue.work(task, (_input, { id }) => void done.push(id))
  await queue.enqueue(task, { n: 1 }, { id: 'before' })
  await until(() => done.length === 1)
  broker.pause()
  try {
    const rejected = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => queue.enqueue(task, { n }, { id: `frozen-${n}` })),
    )
    for (const result of rejected) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'PUBLISH_UNKNOWN' } })
    }
    await until(() => queue.state === 'down')
  } finally {
    broker.resume()
  }
  for (let n = 0; n < 20; n += 1) await sendUntilTaken(() => queue.enqueue(task, { n }, { id: `frozen-${n}` }))
  await until(() => new Set(done).size === 21, 30_000)
}, 60_000)

test('wrong credentials and a missing virtual host are refused at once, without the password', async () => {
  const wrong = new URL(broker.url)
  wrong.password = 'sesame-42'
  const credentials = await queueAt(wrong.href)
    .ready({ timeoutMs: 5000 })
    .catch((error: unknown) => error)
  expect(credentials).toMatchObject({ code: 'BROKER_REFUSED' })
  expect((credentials as Error).message).toMatch(/refuses these credentials/)
  expect(`${(credentials as Error).stack} ${JSON.stringify(credentials)}`).not.toContain('sesame')

  const missing = queueAt(`${broker.url}/nowhere`)
  await expect(missing.ready()).rejects.toMatchObject({ code: 'BROKER_REFUSED' })
  await expect(missing.enqueue(numberTask('x'), { n: 1 })).rejects.toThrow(/virtual host is missing/)
})

test('TLS against a plain port, and nothing at all behind the port, are clear errors', async () => {
  const tls = queueAt(broker.url.replace('amqp://', 'amqps://'))
  await expect(tls.ready({ timeoutMs: 3000 })).rejects.toMatchObject({ code: 'BROKER_REFUSED', message: /TLS failed/ })
  const nobody = queueAt('amqp://guest:guest@127.0.0.1:1')
  await expect(nobody.ready({ timeoutMs: 200 })).rejects.toMatchObject({
    code: 'BROKER_UNAVAILABLE',
    message: /amqp:\/\/127\.0\.0\.1:1: connect ECONNREFUSED/,
  })
})

test('a queue that exists with other arguments is a clear error, and nothing is declared beside it', async () => {
  const url = await broker.virtualHost()
  const connection = await connect(url)
  const channel = await connection.createChannel()
  await channel.assertQueue('app.mail.low', {
    durable: true,
    deadLetterExchange: '',
    deadLetterRoutingKey: 'app.mail.dead',
    overflow: 'reject-publish',
    arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'at-least-once', 'x-delivery-limit': 5 },
  })
  const queue = queueAt(url, { prefix: 'app.' })
  const worker = queue.work(numberTask('mail'), () => undefined)
  await expect(worker.ready()).rejects.toMatchObject({
    code: 'TOPOLOGY_MISMATCH',
    queue: 'app.mail.low',
    argument: 'x-delivery-limit',
    declared: '20',
    existing: '5',
    message: /delete it and start again/,
  })
  await expect(queue.enqueue(numberTask('mail'), { n: 1 })).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
  const vhost = new URL(url).pathname.slice(1)
  expect((await broker.ctl('list_queues', '-p', vhost, 'name')).split('\n').filter(Boolean)).toEqual([
    'name',
    'app.mail.low',
  ])
  await connection.close()
})
