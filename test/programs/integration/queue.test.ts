// The queue program of the design, in memory and on RabbitMQ.
import { backoff, createQueue, defineTask } from '@countersign/queue-adapter'
import { jsonSchema } from '@countersign/queue-adapter/ajv'
import { memoryTransport } from '@countersign/queue-adapter/memory'
import { createOutbox, migrations } from '@countersign/queue-adapter/postgres'
import { rabbitmqTransport } from '@countersign/queue-adapter/rabbitmq'
import createKnex from 'knex'
import { randomUUID } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { createDatabase } from '../../support/postgres.ts'
import { eventually } from '../../support/eventually.ts'

describe.each([
  ['memory', () => memoryTransport()],
  ['RabbitMQ', () => rabbitmqTransport({ url: inject('amqpUrl') })],
])('over %s', (_name, openTransport) => {
  test('a task enqueued, alone or with a transaction, is done by a worker', async () => {
    const queue = createQueue({ transport: openTransport() })
    await queue.ready()
    const schema = jsonSchema<{ userId: string }>({
      type: 'object',
      properties: { userId: { type: 'string' } },
      required: ['userId'],
    })
    const sendInvite = defineTask({
      name: `invite.send.${randomUUID()}`,
      schema,
      retry: backoff({ attempts: 5, firstMs: 1000, factor: 4 }),
      timeoutMs: 30_000,
    })
    const done: string[] = []
    const worker = queue.work(
      sendInvite,
      async (input, { id, attempt, signal }) => {
        expect(signal.aborted).toBe(false)
        done.push(`${input.userId} ${id} ${attempt}`)
      },
      { concurrency: 8 },
    )
    await queue.enqueue(sendInvite, { userId: 'u1' }, { id: 'invite-u1', priority: 'high', delayMs: 0 })
    await eventually(() => done.length === 1, 'the first task')
    expect(done).toEqual(['u1 invite-u1 1'])

    const database = await createDatabase(inject('postgresUrl'))
    const knex = createKnex({ client: 'pg', connection: database.url })
    await knex.migrate.latest(migrations())
    const outbox = createOutbox({ knex })
    const relay = outbox.relay(queue)
    await knex.transaction(async transaction => {
      await outbox.enqueue(sendInvite, { userId: 'u2' }, { transaction })
      expect(done).toHaveLength(1)
    })
    await eventually(() => done.length === 2, 'the task of the transaction')
    expect(done[1]).toMatch(/^u2 /)

    await relay.stop()
    await worker.stop({ drainMs: 10_000 })
    expect(await queue.dead(sendInvite).list({ limit: 20 })).toEqual([])
    await queue.dead(sendInvite).redrive()
    await queue.close()
    await knex.destroy()
    await database.drop()
  })
})
