import { connect } from 'amqplib'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, inject, test, vi } from 'vitest'
import { createQueue, type Queue, type QueueOptions } from '../../src/index.ts'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { faultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { messageCount, withChannel } from '../support/raw.ts'
import { numberTask } from '../support/schemas.ts'
import { gate, until } from '../support/wait.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closing.splice(0).reverse()) await close()
})

function queueAt(url: string, options: Partial<QueueOptions> = {}): Queue & { prefix: string } {
  const prefix = `t${randomBytes(5).toString('hex')}-`
  const queue = createQueue({ transport: rabbitmqTransport({ url }), prefix, ...options })
  closing.push(() => queue.close({ drainMs: 0 }))
  return Object.assign(queue, { prefix })
}

async function proxyToBroker(): Promise<FaultProxy> {
  const proxy = await faultProxy(inject('amqpUrl'))
  closing.push(() => proxy.close())
  return proxy
}

test('G2: closing at once loses no publish and no acknowledgement', async () => {
  const url = inject('amqpUrl')
  const task = numberTask('closed-at-once')
  const publisher = queueAt(url)
  await publisher.enqueue(task, { n: 0 })
  const sending = Array.from({ length: 200 }, (_, n) => publisher.enqueue(task, { n }))
  // One turn: validated, and on their way.
  await new Promise(resolve => setImmediate(resolve))
  await publisher.close()
  await Promise.all(sending)
  const queueName = `${publisher.prefix}closed-at-once.normal`
  await withChannel(url, async channel => {
    await until(async () => (await messageCount(channel, queueName)) === 201)
  })

  const consumer = queueAt(url, { prefix: publisher.prefix })
  let started = 0
  const finish = gate()
  consumer.work(
    task,
    async () => {
      started += 1
      await finish.opened
    },
    { concurrency: 250 },
  )
  await until(() => started === 201)
  const leaving = consumer.close()
  // Nothing shows that the subscription is cancelled. Then 201 handlers end at once, and the channel after them.
  await sleep(300)
  finish.open()
  expect(await leaving).toEqual({ unfinished: 0 })
  await withChannel(url, async channel => {
    await until(async () => (await messageCount(channel, queueName)) === 0)
  })
})

test('G2, the naive way: closing the connection drops what is on its way', async () => {
  const connection = await connect(inject('amqpUrl'))
  const channel = await connection.createConfirmChannel()
  const queue = `t${randomBytes(5).toString('hex')}`
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  for (let n = 0; n < 200; n += 1) channel.sendToQueue(queue, Buffer.from('x'))
  await connection.close()
  const arrived = await withChannel(inject('amqpUrl'), raw => messageCount(raw, queue))
  expect(arrived).toBeLessThan(200)
})

test('G5: a connection that is lost while the queues are declared comes back and declares them', async () => {
  const proxy = await proxyToBroker()
  const task = numberTask('cut-while-declaring')
  const queue = queueAt(proxy.url)
  // The handshake takes about 800 bytes each way: this cut comes in the middle of the declarations.
  proxy.cutAfter(1200)
  const done = gate()
  queue.work(task, () => {
    done.open()
  })
  await until(async () => {
    const sent = queue.enqueue(task, { n: 1 }, { id: 'same' })
    return sent.then(
      () => true,
      () => false,
    )
  })
  await done.opened
})

test('G5: a broker that accepts and then says nothing is given up and tried again', async () => {
  const proxy = await proxyToBroker()
  proxy.stall()
  const transport = rabbitmqTransport({ url: proxy.url, connectTimeoutMs: 200 })
  const queue = queueAt(proxy.url, { transport })
  await expect(queue.ready({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
  proxy.flow()
  await queue.ready({ timeoutMs: 10_000 })
})

test('G6: a broker that stops answering makes publishing reject by its deadline', async () => {
  const proxy = await proxyToBroker()
  const task = numberTask('frozen')
  const queue = queueAt(`${proxy.url}?heartbeat=1`, { publishTimeoutMs: 300 })
  await queue.enqueue(task, { n: 0 })
  proxy.stall()
  const before = performance.now()
  await expect(queue.enqueue(task, { n: 1 }, { id: 'frozen-1' })).rejects.toMatchObject({
    code: 'PUBLISH_UNKNOWN',
    messageId: 'frozen-1',
  })
  expect(performance.now() - before).toBeLessThan(1000)
  await until(() => queue.state === 'down')
  proxy.flow()
  await until(async () =>
    queue.enqueue(task, { n: 1 }, { id: 'frozen-1' }).then(
      () => true,
      () => false,
    ),
  )
})

test('G6: a frozen broker is not fed without bound', async () => {
  const proxy = await proxyToBroker()
  const task = numberTask('bounded')
  const transport = rabbitmqTransport({ url: proxy.url, window: 16 })
  const queue = queueAt(proxy.url, { transport, publishTimeoutMs: 300 })
  await queue.enqueue(task, { n: 0 })
  proxy.stall()
  const results = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => queue.enqueue(task, { n })))
  const codes = results.map(result => (result.status === 'rejected' ? (result.reason as { code: string }).code : 'ok'))
  expect(codes.filter(code => code === 'PUBLISH_UNKNOWN')).toHaveLength(16)
  expect(codes.filter(code => code === 'BROKER_UNAVAILABLE')).toHaveLength(84)
  proxy.cut()
})

test('G7: a deleted queue is a rejection for the message that finds it missing, and is made again for the next', async () => {
  const url = inject('amqpUrl')
  const task = numberTask('deleted')
  const queue = queueAt(url)
  await queue.enqueue(task, { n: 0 })
  await withChannel(url, channel => channel.deleteQueue(`${queue.prefix}deleted.normal`))
  await expect(queue.enqueue(task, { n: 1 }, { id: 'lost' })).rejects.toMatchObject({ code: 'PUBLISH_REJECTED' })
  await queue.enqueue(task, { n: 1 }, { id: 'lost' })
  expect((await queue.depth(task)).normal).toBe(1)
})

test('G7, the naive way: a message to no queue is confirmed, and gone', async () => {
  const confirmed = await withChannel(
    inject('amqpUrl'),
    channel =>
      new Promise(resolve =>
        channel.sendToQueue('no-such-queue', Buffer.from('x'), {}, error => resolve(error ?? 'confirmed')),
      ),
  )
  expect(confirmed).toBe('confirmed')
})

test('G7: a missing exchange costs the channel, and no message is lost without a word', async () => {
  const url = inject('amqpUrl')
  const task = numberTask('no-exchange')
  const queue = queueAt(url)
  await queue.enqueue(task, { n: 0 }, { delayMs: 250 })
  await withChannel(url, channel => channel.deleteExchange('countersign.delay.250'))
  const results = await Promise.allSettled([
    queue.enqueue(task, { n: 1 }, { delayMs: 250, id: 'delayed' }),
    ...Array.from({ length: 50 }, (_, n) => queue.enqueue(task, { n }, { id: `beside-${n}` })),
  ])
  const failed = results.flatMap(result => (result.status === 'rejected' ? [result.reason as { code: string }] : []))
  expect(failed.length).toBeGreaterThan(0)
  for (const error of failed) expect(error.code).toMatch(/^(PUBLISH_UNKNOWN|BROKER_UNAVAILABLE)$/)
  await queue.enqueue(task, { n: 1 }, { delayMs: 250, id: 'delayed' })
})

test('G8: headers and options that amqplib throws on or drops are refused, and the channel lives', async () => {
  const queue = queueAt(inject('amqpUrl'))
  const task = numberTask('headers')
  const inFlight = Array.from({ length: 50 }, (_, n) => queue.enqueue(task, { n }))
  const bad = [
    { headers: { a: undefined } },
    { headers: { a: new Date() } },
    { headers: { a: 1n } },
    { headers: { a: Number.NaN } },
    { headers: { a: () => 1 } },
    { headers: { a: Symbol('s') } },
    { headers: { a: 'x'.repeat(70_000) } },
    { priority: 300 },
    { delayMs: -1 },
  ]
  for (const options of bad) {
    await expect(queue.enqueue(task, { n: 0 }, options as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  }
  await Promise.all(inFlight)
  await until(async () => (await queue.depth(task)).normal === 50)
})

test('G8, the naive way: a date is lost, and a negative expiration takes the channel with it', async () => {
  const name = `t${randomBytes(5).toString('hex')}`
  const outcome = await withChannel(inject('amqpUrl'), async channel => {
    await channel.assertQueue(name, { durable: true })
    const closed = new Promise(resolve =>
      channel.once('close', () => {
        resolve('closed')
      }),
    )
    channel.sendToQueue(name, Buffer.from('x'), { headers: { when: new Date(), gone: undefined } })
    await channel.waitForConfirms()
    const message = await channel.get(name, { noAck: true })
    expect(message && message.properties.headers).toEqual({ when: {} })
    channel.sendToQueue(name, Buffer.from('x'), { expiration: -5 })
    return closed
  })
  expect(outcome).toBe('closed')
})

test('G9: a worker whose queue is deleted takes up its work again', async () => {
  const url = inject('amqpUrl')
  const task = numberTask('taken-away')
  const queue = queueAt(url)
  const done: string[] = []
  queue.work(task, (_input, { id }) => void done.push(id))
  await queue.enqueue(task, { n: 1 }, { id: 'before' })
  await until(() => done.length === 1)
  for (const priority of ['high', 'normal', 'low']) {
    await withChannel(url, channel => channel.deleteQueue(`${queue.prefix}taken-away.${priority}`))
  }
  await until(async () =>
    queue.enqueue(task, { n: 1 }, { id: 'after' }).then(
      () => true,
      () => false,
    ),
  )
  await until(() => done.includes('after'))
})

test('G9: a worker that was not told that its queue was deleted and made again elsewhere finds out by itself', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const url = inject('amqpUrl')
  const task = numberTask('forgotten')
  const worker = queueAt(url)
  const elsewhere = queueAt(url, { prefix: worker.prefix })
  const done: string[] = []
  worker.work(task, (_input, { id }) => void done.push(id))
  await elsewhere.enqueue(task, { n: 1 }, { id: 'before' })
  await until(() => done.length === 1)
  await withChannel(url, channel => channel.deleteQueue(`${worker.prefix}forgotten.normal`))
  const send = (): Promise<boolean> =>
    elsewhere.enqueue(task, { n: 1 }, { id: 'after' }).then(
      () => true,
      () => false,
    )
  await until(send)
  let turns = 0
  await until(() => {
    // Each step is the minute after which an idle subscription is renewed.
    if (turns++ % 100 === 0) vi.advanceTimersByTime(60_000)
    return done.includes('after')
  })
})

test('G9: handlers that throw or reject keep their worker going', async () => {
  const queue = queueAt(inject('amqpUrl'))
  const task = numberTask('throws')
  const calls: number[] = []
  queue.work(task, ({ n }) => {
    calls.push(n)
    if (n === 1) throw new Error('at once')
    if (n === 2) return Promise.reject(new Error('later'))
    return undefined
  })
  for (const n of [1, 2, 3]) await queue.enqueue(task, { n })
  await until(() => calls.includes(3))
  await until(async () => (await queue.dead(task).count()) === 2)
})

test('a message whose workers die with it again and again ends in the dead queue', async () => {
  const url = inject('amqpUrl')
  const task = numberTask('poison')
  const queue = queueAt(url)
  await queue.enqueue(task, { n: 1 }, { id: 'poison' })
  // What a crash looks like to the broker: a delivery, and the connection gone.
  await withChannel(url, async channel => {
    for (let crash = 0; crash < 40; crash += 1) {
      const delivery = await channel.get(`${queue.prefix}poison.normal`)
      if (delivery) channel.reject(delivery, true)
    }
  })
  await until(async () => (await queue.dead(task).count()) === 1)
  expect(await queue.dead(task).list()).toMatchObject([
    { id: 'poison', reason: 'crash-loop', input: { n: 1 }, errorType: 'DeliveryLimit' },
  ])
  expect(await queue.dead(task).redrive()).toEqual({ redriven: 1 })
  await until(async () => (await queue.depth(task)).normal === 1)
})

test.each(['toBroker', 'toClient'] as const)(
  'a connection that is cut in the middle of a frame (%s) loses nothing that was confirmed',
  async side => {
    const proxy = await proxyToBroker()
    const task = numberTask('cut')
    const publisher = queueAt(proxy.url, { publishTimeoutMs: 5000 })
    const consumer = queueAt(proxy.url, { prefix: publisher.prefix })
    const seen = new Map<string, number>()
    consumer.work(task, (_input, { id }) => void seen.set(id, (seen.get(id) ?? 0) + 1), { concurrency: 20 })
    await publisher.enqueue(task, { n: 0 }, { id: 'first' })
    const send = async (id: string): Promise<void> => {
      const padding = { pad: 'x'.repeat(4000) }
      await until(async () =>
        publisher.enqueue(task, { n: 1 }, { id, headers: padding }).then(
          () => true,
          () => false,
        ),
      )
    }
    const ids = Array.from({ length: 300 }, (_, n) => `cut-${n}`)
    const cuts = [100_123, 50_321, 200_777]
    const hurting = (async () => {
      for (const bytes of cuts) {
        proxy.cutAfter(bytes, side)
        await until(() => proxy.connections === 0 || seen.size > 300)
        await until(() => proxy.connections > 0)
      }
    })()
    for (let start = 0; start < ids.length; start += 50) await Promise.all(ids.slice(start, start + 50).map(send))
    await until(() => seen.size === 301)
    proxy.cutAfter(Infinity, side)
    await hurting
  },
)
