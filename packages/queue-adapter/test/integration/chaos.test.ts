import { createQueue, defineTask } from '../../src/index.ts'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRabbitMq, type RabbitMq } from '../../../../test/support/rabbitmq.ts'
import { spawnTied } from '../../../../test/support/service.ts'
import { createOutbox } from '../../src/postgres/index.ts'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { testDatabase } from '../support/database.ts'
import { numbered } from '../support/schemas.ts'
import { until } from '../support/wait.ts'

const long = process.env.COUNTERSIGN_LONG === '1'
const size = long ? { tasks: 20_000, workers: 3, chaosMs: 60_000 } : { tasks: 600, workers: 2, chaosMs: 4000 }
const limitMs = long ? 400_000 : 120_000

const database = testDatabase()
const script = fileURLToPath(new URL('../support/chaos-process.ts', import.meta.url))
const children = new Set<ChildProcess>()
let broker: RabbitMq

beforeAll(async () => {
  broker = await startRabbitMq()
  await database.knex.schema.createTable('calls', table => {
    table.integer('n')
    table.integer('attempt')
  })
  await database.knex.schema.createTable('effects', table => table.integer('n'))
}, 120_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await broker.stop()
}, 60_000)

async function startWorker(transport: string, prefix: string, name: string): Promise<ChildProcess> {
  const args = ['--conditions=@countersign/source', script, transport, database.url, prefix, name]
  const child = spawnTied(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  if (child.stdout) await once(child.stdout, 'data')
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

async function count(table: string): Promise<number> {
  const [row] = await database.knex(table).count<{ count: string }[]>()
  return Number(row?.count)
}

test(
  `${size.tasks} tasks are done, each with its effect once, while workers and the broker are killed`,
  async () => {
    const { knex } = database
    await knex.raw('truncate calls, effects')
    const prefix = `t${randomBytes(5).toString('hex')}-`
    const task = defineTask({ name: 'chaos', schema: numbered })
    const queue = createQueue({ transport: rabbitmqTransport({ url: broker.url }), prefix, publishTimeoutMs: 3000 })
    const outbox = createOutbox({ knex })
    const relay = outbox.relay(queue, { pollMs: 200 })
    const workers = await Promise.all(
      Array.from({ length: size.workers }, () => startWorker(broker.url, prefix, 'chaos')),
    )

    // Half of the tasks go through the outbox, the other half is enqueued until it is confirmed, always by the same id.
    const viaOutbox = async (): Promise<void> => {
      for (let n = 0; n < size.tasks; n += 200) {
        await knex.transaction(async transaction => {
          for (let at = n; at < Math.min(n + 200, size.tasks); at += 2) {
            await outbox.enqueue(task, { n: at }, { transaction, id: `chaos-${at}` })
          }
        })
        await sleep((size.chaosMs * 200) / size.tasks)
      }
    }
    let again = 0
    const send = async (n: number): Promise<void> => {
      for (;;) {
        try {
          await queue.enqueue(task, { n }, { id: `chaos-${n}` })
          return
        } catch {
          again += 1
          await sleep(100)
        }
      }
    }
    const direct = async (): Promise<void> => {
      for (let n = 1; n < size.tasks; n += 100) {
        await Promise.all(Array.from({ length: 50 }, (_, index) => send(n + index * 2)))
        await sleep((size.chaosMs * 100) / size.tasks)
      }
    }
    let killed = 0
    let stopped = 0
    const hurt = async (): Promise<void> => {
      const until = Date.now() + size.chaosMs
      const pause = long ? 1500 : 700
      while (Date.now() < until) {
        await sleep(pause * (0.5 + Math.random()))
        const at = Math.floor(Math.random() * workers.length)
        const worker = workers[at]
        if (!worker) continue
        const signal = Math.random() < 0.7 ? 'SIGKILL' : 'SIGTERM'
        if (signal === 'SIGKILL') killed += 1
        else stopped += 1
        await end(worker, signal)
        workers[at] = await startWorker(broker.url, prefix, 'chaos')
      }
    }
    let brokerKills = 0
    const hurtBroker = async (): Promise<void> => {
      const until = Date.now() + size.chaosMs
      do {
        await sleep(long ? 8000 : 2000)
        await broker.kill()
        brokerKills += 1
        await broker.restart()
      } while (Date.now() < until)
    }

    await Promise.all([viaOutbox(), direct(), hurt(), hurtBroker()])
    await until(async () => (await count('effects')) >= size.tasks, limitMs)
    await until(async () => {
      const { high, normal, low, dead } = await queue.depth(task)
      return high + normal + low + dead === 0
    }, limitMs)
    await Promise.all(workers.map(worker => end(worker, 'SIGTERM')))
    const distinct = await knex('effects').countDistinct<{ count: string }[]>('n')
    const calls = await count('calls')
    process.stdout.write(
      `chaos: ${size.tasks} tasks, ${calls} calls, ${killed} workers killed, ${stopped} stopped, ` +
        `${brokerKills} broker crashes, ${again} enqueues repeated\n`,
    )
    expect(await count('effects')).toBe(size.tasks)
    expect(Number(distinct[0]?.count)).toBe(size.tasks)
    expect(calls).toBeGreaterThanOrEqual(size.tasks)
    expect(await count('queue_outbox')).toBe(0)
    const { high, normal, low, dead } = await queue.depth(task)
    expect([high, normal, low, dead]).toEqual([0, 0, 0, 0])
    await relay.stop()
    await queue.close()
  },
  limitMs + size.chaosMs,
)

test('a worker that is stopped by SIGTERM under load loses nothing and does nothing twice', async () => {
  const { knex } = database
  await knex.raw('truncate calls, effects, queue_inbox')
  const prefix = `t${randomBytes(5).toString('hex')}-`
  const task = defineTask({ name: 'drained', schema: numbered })
  const queue = createQueue({ transport: rabbitmqTransport({ url: broker.url }), prefix })
  const first = await startWorker(broker.url, prefix, 'drained')
  await Promise.all(Array.from({ length: 400 }, (_, n) => queue.enqueue(task, { n }, { id: `drained-${n}` })))
  await until(async () => (await count('calls')) > 20)
  await end(first, 'SIGTERM')
  expect(first.exitCode).toBe(0)
  const second = await startWorker(broker.url, prefix, 'drained')
  await until(async () => (await count('effects')) === 400, 60_000)
  await end(second, 'SIGTERM')
  expect(await count('calls')).toBe(400)
  await queue.close()
}, 120_000)

test('a process that is killed with tasks in its memory loses none of those that came through the outbox', async () => {
  const { knex } = database
  await knex.raw('truncate calls, effects, queue_inbox')
  const outbox = createOutbox({ knex })
  const task = defineTask({ name: 'in-memory', schema: numbered })
  await knex.transaction(async transaction => {
    for (let n = 0; n < 100; n += 1) await outbox.enqueue(task, { n }, { transaction, id: `memory-${n}` })
  })
  const first = await startWorker('memory', '', 'in-memory')
  await until(async () => (await count('effects')) === 99 && (await count('queue_outbox')) === 1)
  await end(first, 'SIGKILL')
  // Its lease runs out after 15 seconds; the test does not wait for that.
  await knex('queue_outbox').update({ available_at: knex.fn.now() })
  const before = await count('calls')
  const second = await startWorker('memory', '', 'in-memory')
  await until(async () => (await count('calls')) > before)
  expect(await knex('queue_outbox').select('message_id')).toEqual([{ message_id: 'memory-99' }])
  await end(second, 'SIGKILL')
}, 120_000)
