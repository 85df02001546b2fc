import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { backoff, createQueue, type Queue } from '../../src/index.ts'
import { memoryTransport } from '../../src/memory/index.ts'
import { createInbox } from '../../src/postgres/index.ts'
import { testDatabase } from '../support/database.ts'
import { numberEvent, numberTask } from '../support/schemas.ts'
import { until } from '../support/wait.ts'

const database = testDatabase()
const open: Queue[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(queue => queue.close({ drainMs: 1000 })))
})

function queueOf(): Queue {
  const queue = createQueue({ transport: memoryTransport(), prefix: `t${randomBytes(5).toString('hex')}-` })
  open.push(queue)
  return queue
}

async function effects(): Promise<number[]> {
  const rows = await database.knex('business').select<{ n: number }[]>('n').orderBy('n')
  return rows.map(({ n }) => n)
}

test('a message that comes twice, even at the same time, has its effect once', async () => {
  const queue = queueOf()
  const task = numberTask('charge')
  const inbox = createInbox({ knex: database.knex })
  let settled = 0
  const handle = inbox.handler(task, async ({ n }, { transaction }) => {
    await transaction('business').insert({ n })
    await transaction.raw('select pg_sleep(0.02)')
  })
  for (let n = 0; n < 10; n += 1) {
    for (let copy = 0; copy < 3; copy += 1) await queue.enqueue(task, { n }, { id: `charge-${n}` })
  }
  queue.work(
    task,
    async (input, context) => {
      await handle(input, context)
      settled += 1
    },
    { concurrency: 10 },
  )
  await until(() => settled === 30)
  expect(await effects()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a handler that fails leaves no effect, and its retry has it', async () => {
  const queue = queueOf()
  const task = numberTask('retried', { retry: backoff({ attempts: 3, firstMs: 0 }) })
  const inbox = createInbox({ knex: database.knex })
  queue.work(
    task,
    inbox.handler(task, async ({ n }, { transaction, attempt }) => {
      await transaction('business').insert({ n })
      if (attempt < 3) throw new Error('not yet')
    }),
  )
  await queue.enqueue(task, { n: 1 })
  await until(async () => (await effects()).length > 0)
  expect(await effects()).toEqual([1])
  expect(await queue.dead(task).count()).toBe(0)
})

test('each group of an event has an inbox of its own', async () => {
  const queue = queueOf()
  const event = numberEvent('paid')
  const inbox = createInbox({ knex: database.knex })
  for (const [group, factor] of [
    ['a', 1],
    ['b', 10],
  ] as const) {
    const handle = inbox.handler(
      event,
      async ({ n }, { transaction }) => {
        await transaction('business').insert({ n: n * factor })
      },
      { group },
    )
    await queue.subscribe(event, { group }, handle).ready()
  }
  await queue.emit(event, { n: 1 }, { id: 'p1' })
  await queue.emit(event, { n: 1 }, { id: 'p1' })
  await until(async () => (await effects()).length === 2)
  expect(await effects()).toEqual([1, 10])
})

test('what was handled long ago can be forgotten', async () => {
  const { knex } = database
  const inbox = createInbox({ knex })
  await knex('queue_inbox').insert([
    { consumer: 'c', message_id: 'old', handled_at: new Date(Date.now() - 3_600_000) },
    { consumer: 'c', message_id: 'new' },
  ])
  expect(await inbox.forget({ olderThanMs: 1_800_000 })).toEqual({ forgotten: 1 })
  expect(await knex('queue_inbox').select('message_id')).toEqual([{ message_id: 'new' }])
})
