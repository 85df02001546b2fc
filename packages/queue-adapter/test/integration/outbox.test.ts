import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { backoff, createQueue, type ContextCarrier, type Queue, type Transport } from '../../src/index.ts'
import { memoryTransport } from '../../src/memory/index.ts'
import { createOutbox, migrations, type Relay } from '../../src/postgres/index.ts'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { testDatabase } from '../support/database.ts'
import { numberEvent, numberTask } from '../support/schemas.ts'
import { gate, until } from '../support/wait.ts'

const database = testDatabase()
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function queueOver(transport: Transport): Queue {
  const queue = createQueue({ transport, prefix: `t${randomBytes(5).toString('hex')}-` })
  closing.push(() => queue.close({ drainMs: 0 }))
  return queue
}

function tracked(relay: Relay): Relay {
  closing.push(() => relay.stop({ drainMs: 0 }))
  return relay
}

async function rowsLeft(): Promise<number> {
  const [row] = await database.knex('queue_outbox').count<{ count: string }[]>()
  return Number(row?.count)
}

const transports = {
  memory: () => memoryTransport(),
  rabbitmq: () => rabbitmqTransport({ url: inject('amqpUrl') }),
}

describe.each(Object.entries(transports))('over the %s transport', (_name, create) => {
  test('a task is done when its transaction commits, and never when it rolls back', async () => {
    const { knex } = database
    const queue = queueOver(create())
    const outbox = createOutbox({ knex })
    const task = numberTask('committed')
    const done: number[] = []
    queue.work(task, ({ n }) => void done.push(n))
    tracked(outbox.relay(queue))
    await knex
      .transaction(async transaction => {
        await transaction('business').insert({ n: 1 })
        await outbox.enqueue(task, { n: 1 }, { transaction })
        throw new Error('changed my mind')
      })
      .catch(() => undefined)
    await knex.transaction(async transaction => {
      await transaction('business').insert({ n: 2 })
      await outbox.enqueue(task, { n: 2 }, { transaction })
    })
    await until(async () => done.length > 0 && (await rowsLeft()) === 0)
    expect(done).toEqual([2])
  })

  test('the commit wakes the relay of its own process, long before it would poll', async () => {
    const { knex } = database
    const queue = queueOver(create())
    const outbox = createOutbox({ knex })
    const task = numberTask('woken')
    const done = gate()
    queue.work(task, () => {
      done.open()
    })
    await queue.enqueue(numberTask('warm-up'), { n: 0 })
    tracked(outbox.relay(queue, { pollMs: 60_000 }))
    const transaction = await knex.transaction()
    await outbox.enqueue(task, { n: 1 }, { transaction })
    await transaction.commit()
    await done.opened
    const nested = gate()
    const other = numberTask('nested')
    queue.work(other, () => {
      nested.open()
    })
    await knex.transaction(async outer => {
      await outer.transaction(async inner => {
        await outbox.enqueue(other, { n: 1 }, { transaction: inner })
      })
      await outer.raw('select pg_sleep(0.05)')
    })
    await nested.opened
  })

  test('a transaction of pg itself will do, and then the caller wakes the relay', async () => {
    const { knex, url } = database
    const queue = queueOver(create())
    const outbox = createOutbox({ knex })
    const task = numberTask('bare')
    const done = gate<number>()
    queue.work(task, ({ n }) => {
      done.open(n)
    })
    tracked(outbox.relay(queue, { pollMs: 60_000 }))
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('begin')
    await outbox.enqueue(task, { n: 5 }, { transaction: client, id: 'five', headers: { 'a-b': 'Zoë ?' } })
    await client.query('commit')
    await client.end()
    outbox.wake()
    expect(await done.opened).toBe(5)
  })

  test('another process only polls, and finds the row', async () => {
    const { knex } = database
    const queue = queueOver(create())
    const task = numberTask('polled')
    const done = gate()
    queue.work(task, () => {
      done.open()
    })
    tracked(createOutbox({ knex }).relay(queue, { pollMs: 50 }))
    const elsewhere = createOutbox({ knex })
    await knex.transaction(transaction => elsewhere.enqueue(task, { n: 1 }, { transaction }))
    await done.opened
  })

  test('delay, priority, id, events and the context of the caller go through the outbox', async () => {
    const { knex } = database
    const storage = new AsyncLocalStorage<string>()
    const carrier: ContextCarrier = {
      capture: () => ({ actor: storage.getStore() ?? 'nobody' }),
      run: (headers, work) => storage.run(headers.actor ?? 'nobody', work),
    }
    const transport = create()
    const queue = createQueue({ transport, carrier, prefix: `t${randomBytes(5).toString('hex')}-` })
    closing.push(() => queue.close({ drainMs: 0 }))
    const outbox = createOutbox({ knex, carrier })
    const task = numberTask('through')
    const event = numberEvent('happened')
    const seen: unknown[] = []
    let doneAt = 0
    queue.work(task, (_input, { id }) => {
      doneAt = Date.now()
      seen.push([id, storage.getStore()])
    })
    await queue.subscribe(event, { group: 'g' }, (_input, { id }) => void seen.push([id, storage.getStore()])).ready()
    const sentAt = Date.now()
    await storage.run('u1', () =>
      knex.transaction(async transaction => {
        await outbox.enqueue(task, { n: 1 }, { transaction, id: 'later', delayMs: 300, priority: 'high' })
        await outbox.emit(event, { n: 1 }, { transaction, id: 'fact' })
      }),
    )
    tracked(outbox.relay(queue, { pollMs: 50 }))
    await until(async () => seen.length === 2 && (await rowsLeft()) === 0)
    expect(seen).toEqual([
      ['fact', 'u1'],
      ['later', 'u1'],
    ])
    expect(doneAt - sentAt).toBeGreaterThanOrEqual(299)
  })

  test('many relays hand every row over once', async () => {
    const { knex } = database
    const queue = queueOver(create())
    const task = numberTask('shared')
    const outbox = createOutbox({ knex })
    const done: number[] = []
    queue.work(task, ({ n }) => void done.push(n), { concurrency: 50 })
    await knex.transaction(async transaction => {
      for (let n = 0; n < 300; n += 1) await outbox.enqueue(task, { n }, { transaction })
    })
    for (let relay = 0; relay < 4; relay += 1) tracked(createOutbox({ knex }).relay(queue, { batch: 20, pollMs: 20 }))
    await until(async () => done.length >= 300 && (await rowsLeft()) === 0)
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n))
  })
})

test('in memory a row stays until its handler is done, and another process takes it over', async () => {
  const { knex } = database
  const outbox = createOutbox({ knex })
  const task = numberTask('held')
  const first = queueOver(memoryTransport())
  const started = gate()
  const stuck = first.work(task, async () => {
    started.open()
    await new Promise(() => undefined)
  })
  const relay = outbox.relay(first, { pollMs: 20 })
  await knex.transaction(transaction => outbox.enqueue(task, { n: 1 }, { transaction, id: 'held' }))
  await started.opened
  expect(await rowsLeft()).toBe(1)
  await stuck.stop({ drainMs: 0 })
  await relay.stop({ drainMs: 0 })
  expect(await rowsLeft()).toBe(1)
  const second = queueOver(memoryTransport())
  const done = gate<string>()
  second.work(task, (_input, { id }) => {
    done.open(id)
  })
  tracked(createOutbox({ knex }).relay(second, { pollMs: 20 }))
  expect(await done.opened).toBe('held')
  await until(async () => (await rowsLeft()) === 0)
})

test('in memory a row whose task is dead stays until it is redriven and done', async () => {
  const { knex } = database
  const outbox = createOutbox({ knex })
  const task = numberTask('buried', { retry: backoff({ attempts: 1, firstMs: 0 }) })
  const queue = queueOver(memoryTransport())
  let broken = true
  queue.work(task, () => {
    if (broken) throw new Error('broken')
  })
  tracked(outbox.relay(queue, { pollMs: 20 }))
  await knex.transaction(transaction => outbox.enqueue(task, { n: 1 }, { transaction }))
  await until(async () => (await queue.dead(task).count()) === 1)
  expect(await rowsLeft()).toBe(1)
  broken = false
  await queue.dead(task).redrive()
  await until(async () => (await rowsLeft()) === 0)
})

test('rows are handed over one after the other when order is asked for', async () => {
  const { knex } = database
  const queue = queueOver(rabbitmqTransport({ url: inject('amqpUrl') }))
  const task = numberTask('in-order')
  const outbox = createOutbox({ knex })
  await knex.transaction(async transaction => {
    for (let n = 0; n < 60; n += 1) await outbox.enqueue(task, { n }, { transaction })
  })
  const done: number[] = []
  for (let relay = 0; relay < 3; relay += 1) {
    tracked(outbox.relay(queue, { batch: 7, pollMs: 10, ordered: true }))
  }
  await until(async () => (await rowsLeft()) === 0)
  queue.work(task, ({ n }) => void done.push(n))
  await until(() => done.length === 60)
  expect(done).toEqual(Array.from({ length: 60 }, (_, n) => n))
})

test('a row the queue refuses waits longer each time and holds up nobody', async () => {
  const { knex } = database
  const transport = memoryTransport()
  const refusing: Transport = {
    ...transport,
    get state() {
      return transport.state
    },
    publish: async (message, options) => {
      const { QueueError } = await import('../../src/index.ts')
      if (message.id === 'bad') throw new QueueError('PUBLISH_REJECTED', 'not this one')
      await transport.publish(message, options)
    },
  }
  const queue = queueOver(refusing)
  const task = numberTask('mixed')
  const outbox = createOutbox({ knex })
  const done: string[] = []
  queue.work(task, (_input, { id }) => void done.push(id))
  await knex.transaction(async transaction => {
    for (const id of ['bad', 'good-1', 'good-2']) await outbox.enqueue(task, { n: 1 }, { transaction, id })
  })
  tracked(outbox.relay(queue, { batch: 1, pollMs: 10 }))
  await until(async () => done.length === 2 && (await rowsLeft()) === 1)
  const rows = await knex('queue_outbox').select<{ message_id: string; attempts: number; last_error: string }[]>()
  expect(rows).toMatchObject([{ message_id: 'bad', attempts: 1, last_error: 'not this one' }])
})

test('a payload that fails its schema, and a call outside a transaction, write nothing', async () => {
  const { knex } = database
  const outbox = createOutbox({ knex })
  const task = numberTask('refused')
  await knex.transaction(async transaction => {
    await expect(outbox.enqueue(task, { n: 0.5 }, { transaction })).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' })
  })
  await expect(outbox.enqueue(task, { n: 1 }, { transaction: knex as never })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
  })
  expect(await rowsLeft()).toBe(0)
})

test('writing to the outbox notifies nobody', async () => {
  const { knex, url } = database
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const heard: string[] = []
  client.on('notification', ({ channel }) => heard.push(channel))
  const functions = await knex.raw<{ rows: { prosrc: string }[] }>(
    "select prosrc from pg_proc where pronamespace = 'public'::regnamespace",
  )
  expect(functions.rows).toEqual([])
  const triggers = await knex.raw<{ rows: unknown[] }>(
    "select 1 from pg_trigger where tgrelid = 'queue_outbox'::regclass",
  )
  expect(triggers.rows).toEqual([])
  const outbox = createOutbox({ knex })
  const statements: string[] = []
  knex.on('query', ({ sql }: { sql: string }) => statements.push(sql))
  await knex.transaction(transaction => outbox.enqueue(numberTask('quiet'), { n: 1 }, { transaction }))
  expect(statements.filter(sql => /notify/i.test(sql))).toEqual([])
  expect(heard).toEqual([])
  await client.end()
})

test('the migrations can be taken back', async () => {
  const { knex } = database
  await knex.migrate.rollback(migrations())
  expect(await knex.schema.hasTable('queue_outbox')).toBe(false)
  await knex.migrate.latest(migrations())
  expect(await knex.schema.hasTable('queue_outbox')).toBe(true)
})
