/**
 * Measures the queue against raw amqplib used well, on the same broker in the same run, and prints the ratios.
 * Run it with: node --conditions=@countersign/source test/bench/queue.ts
 */
import { createQueue, defineTask, type Queue, type Schema } from '@countersign/queue-adapter'
import { memoryTransport } from '@countersign/queue-adapter/memory'
import { createOutbox, migrations } from '@countersign/queue-adapter/postgres'
import { rabbitmqTransport } from '@countersign/queue-adapter/rabbitmq'
import { connect, type ConfirmChannel } from 'amqplib'
import knexModule, { type Knex } from 'knex'
import { loadavg } from 'node:os'
import { startPostgres } from '../support/postgres.ts'
import { startRabbitMq } from '../support/rabbitmq.ts'

const messages = 8000
const rounds = 5
const comparedRounds = 9
const input = { note: 'x'.repeat(185) }
const text = Buffer.from(JSON.stringify(input))
const schema: Schema<{ note: string }> = {
  '~standard': { version: 1, vendor: 'bench', validate: value => ({ value: value as { note: string } }) },
}
const task = defineTask({ name: 'bench', schema })
const traced = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

const described = { persistent: true, mandatory: true, type: 'bench', contentType: 'application/json' }

async function rate(count: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (count / (performance.now() - start)) * 1000
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
}

/** Both in turns, after one round that warms them up, and the median of each. */
async function compare(
  title: string,
  ours: () => Promise<number>,
  raw: () => Promise<number>,
  aim: string,
): Promise<void> {
  const results = { ours: [] as number[], raw: [] as number[] }
  for (let round = 0; round <= comparedRounds; round += 1) {
    const measured = { raw: await raw(), ours: await ours() }
    if (round === 0) continue
    results.raw.push(measured.raw)
    results.ours.push(measured.ours)
  }
  const [a, b] = [median(results.ours), median(results.raw)]
  const share = ((100 * a) / b).toFixed(0)
  console.log(`${title.padEnd(36)} ours ${a.toFixed(0)}/s   raw ${b.toFixed(0)}/s   ${share} %   (aim ${aim})`)
}

/** Publishes with a window of 256 and one promise a message. */
async function publishRaw(channel: ConfirmChannel, queue: string, count: number): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1
      const properties = { ...described, messageId: String(next), headers: traced }
      await new Promise<void>((resolve, reject) => {
        channel.sendToQueue(queue, text, properties, error => {
          if (error instanceof Error) reject(error)
          else resolve()
        })
      })
    }
  }
  await Promise.all(Array.from({ length: 256 }, lane))
}

async function publishOurs(queue: Queue, count: number): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1
      await queue.enqueue(task, input, { headers: traced })
    }
  }
  await Promise.all(Array.from({ length: 256 }, lane))
}

async function consumeOurs(queue: Queue): Promise<number> {
  await publishOurs(queue, messages)
  return rate(messages, async () => {
    let handled = 0
    let allDone: () => void = () => undefined
    const done = new Promise<void>(resolve => (allDone = resolve))
    const handle = async (): Promise<void> => {
      handled += 1
      if (handled === messages) allDone()
    }
    const worker = queue.work(task, handle, { concurrency: 50 })
    await done
    await worker.stop()
  })
}

async function consumeRaw(url: string, name: string): Promise<number> {
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createConfirmChannel()
  await publishRaw(channel, name, messages)
  const measured = await rate(messages, async () => {
    let handled = 0
    await channel.prefetch(50)
    await new Promise<void>((resolve, reject) => {
      const take = async (content: Buffer): Promise<void> => {
        JSON.parse(content.toString())
      }
      channel
        .consume(name, message => {
          if (!message) return
          take(message.content).then(() => {
            channel.ack(message)
            handled += 1
            if (handled === messages) resolve()
          }, reject)
        })
        .catch(reject)
    })
  })
  await channel.close()
  await connection.close()
  return measured
}

async function measureRabbitMq(url: string): Promise<void> {
  const queue = createQueue({ transport: rabbitmqTransport({ url }), publishTimeoutMs: 60_000 })
  await queue.enqueue(task, input)
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createConfirmChannel()
  const name = 'raw'
  // The same guarantees cost the broker the same: a delivery limit and safe dead-lettering, as ours have.
  await channel.assertQueue(name, {
    durable: true,
    deadLetterExchange: '',
    deadLetterRoutingKey: 'bench.dead',
    overflow: 'reject-publish',
    arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-strategy': 'at-least-once', 'x-delivery-limit': 20 },
  })
  const purge = async (): Promise<void> => {
    await channel.purgeQueue(name)
    await channel.purgeQueue('bench.normal')
  }
  await compare(
    'confirmed publish, window 256',
    async () => rate(messages, () => publishOurs(queue, messages)).finally(purge),
    async () => rate(messages, () => publishRaw(channel, name, messages)).finally(purge),
    '85 %',
  )
  await compare(
    'consume with ack, concurrency 50',
    () => consumeOurs(queue),
    () => consumeRaw(url, name),
    '85 %',
  )
  await connection.close()
  await queue.close()
}

async function measureOutbox(knex: Knex, url: string): Promise<void> {
  const queue = createQueue({ transport: rabbitmqTransport({ url }), publishTimeoutMs: 60_000, prefix: 'outbox-' })
  await queue.enqueue(task, input)
  const outbox = createOutbox({ knex })
  const waiting = async (): Promise<number> => {
    const [row] = await knex('queue_outbox').count<{ count: string }[]>()
    return Number(row?.count)
  }
  let best = 0
  for (let round = 0; round < rounds; round += 1) {
    await knex.transaction(async transaction => {
      for (let n = 0; n < messages; n += 1) await outbox.enqueue(task, input, { transaction })
    })
    const relayed = await rate(messages, async () => {
      const relay = outbox.relay(queue, { batch: 500 })
      while ((await waiting()) > 0) await new Promise(resolve => setTimeout(resolve, 5))
      await relay.stop()
    })
    best = Math.max(best, relayed)
  }
  console.log(`outbox relay, batch 500: ${best.toFixed(0)}/s   (aim 10000/s)`)

  const delays: number[] = []
  const measured: Queue = {
    ...queue,
    get state() {
      return queue.state
    },
    publish: async (message, options) => {
      await queue.publish(message, options)
      delays.push(performance.now())
    },
  }
  const relay = outbox.relay(measured)
  const committed: number[] = []
  for (let n = 0; n < 200; n += 1) {
    await knex.transaction(transaction => outbox.enqueue(task, input, { transaction }))
    committed.push(performance.now())
    while (delays.length <= n) await new Promise(resolve => setImmediate(resolve))
  }
  await relay.stop()
  const took = delays.map((at, n) => at - (committed[n] ?? at)).sort((a, b) => a - b)
  console.log(
    `commit to confirmed, idle: p50 ${took[100]?.toFixed(1)} ms, p99 ${took[198]?.toFixed(1)} ms   (aim p50 5 ms)`,
  )
  await queue.close()
}

async function measureInsert(knex: Knex): Promise<void> {
  const outbox = createOutbox({ knex })
  const transactions = 2000
  const business = async (withOutbox: boolean): Promise<number> => {
    let next = 0
    const lane = async (): Promise<void> => {
      while (next < transactions) {
        const n = next
        next += 1
        await knex.transaction(async transaction => {
          await transaction('business').insert({ n, note: input.note })
          await transaction('business').where({ n }).update({ note: 'done' })
          if (withOutbox) await outbox.enqueue(task, input, { transaction })
        })
      }
    }
    return rate(transactions, () => Promise.all(Array.from({ length: 8 }, lane)))
  }
  let [plain, extra] = [0, 0]
  for (let round = 0; round < rounds; round += 1) {
    plain = Math.max(plain, await business(false))
    extra = Math.max(extra, await business(true))
  }
  const cost = (100 * (1 - extra / plain)).toFixed(0)
  console.log(
    `business transactions: ${plain.toFixed(0)}/s, with an outbox row ${extra.toFixed(0)}/s: ${cost} % (aim 20 %)`,
  )
}

async function measureMemory(): Promise<void> {
  const count = 100_000
  let best = 0
  for (let round = 0; round < rounds; round += 1) {
    const queue = createQueue({ transport: memoryTransport({ maxMessages: count }) })
    let handled = 0
    const done = new Promise<void>(resolve => {
      queue.work(
        task,
        () => {
          handled += 1
          if (handled === count) resolve()
        },
        { concurrency: 100 },
      )
    })
    best = Math.max(best, await rate(count, () => Promise.all([publishOurs(queue, count), done])))
    await queue.close()
  }
  console.log(`memory transport: ${best.toFixed(0)} tasks/s   (aim 100000/s)`)
}

console.log(`load before: ${loadavg()[0]?.toFixed(1)}`)
await measureMemory()
const [broker, postgres] = await Promise.all([startRabbitMq(), startPostgres({ durable: true })])
const knex = knexModule({ client: 'pg', connection: postgres.url, pool: { min: 0, max: 12 } })
try {
  await knex.migrate.latest(migrations())
  await knex.schema.createTable('business', table => {
    table.integer('n').index()
    table.text('note')
  })
  await measureRabbitMq(broker.url)
  await measureOutbox(knex, broker.url)
  await measureInsert(knex)
} finally {
  await knex.destroy()
  await broker.stop()
  await postgres.stop()
}
console.log(`load after: ${loadavg()[0]?.toFixed(1)}`)
