import type { Knex } from 'knex'
import { expectTypeOf, test } from 'vitest'
import { jsonSchema } from '../src/ajv/index.ts'
import { backoff, createQueue, defineEvent, defineTask, type Schema } from '../src/index.ts'
import { memoryTransport } from '../src/memory/index.ts'
import { createOutbox } from '../src/postgres/index.ts'
import { rabbitmqTransport } from '../src/rabbitmq/index.ts'

declare const url: string
declare const knex: Knex
declare const transaction: Knex.Transaction

const schema = jsonSchema<{ userId: string }>({
  type: 'object',
  properties: { userId: { type: 'string' } },
  required: ['userId'],
})
const sendInvite = defineTask({
  name: 'invite.send',
  schema,
  retry: backoff({ attempts: 5, firstMs: 1000, factor: 4 }),
  timeoutMs: 30_000,
})

test('the documented program compiles', async () => {
  const queue = createQueue({ transport: rabbitmqTransport({ url }) })
  await queue.ready()
  await queue.enqueue(sendInvite, { userId: 'u1' }, { id: 'invite-u1', priority: 'high', delayMs: 0 })
  const worker = queue.work(
    sendInvite,
    async (input, { id, attempt, signal }) => {
      expectTypeOf(input).toEqualTypeOf<{ userId: string }>()
      expectTypeOf(id).toEqualTypeOf<string>()
      expectTypeOf(attempt).toEqualTypeOf<number>()
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
    },
    { concurrency: 8 },
  )
  await worker.stop({ drainMs: 10_000 })
  await queue.dead(sendInvite).list({ limit: 20 })
  await queue.dead(sendInvite).redrive()
  const outbox = createOutbox({ knex })
  await outbox.enqueue(sendInvite, { userId: 'u1' }, { transaction })
})

test('a payload of another shape does not compile', async () => {
  const queue = createQueue({ transport: memoryTransport() })
  // @ts-expect-error the payload has a userId
  await queue.enqueue(sendInvite, { user: 'u1' })
  // @ts-expect-error it is a text
  await queue.enqueue(sendInvite, { userId: 1 })
  // @ts-expect-error there are three priorities
  await queue.enqueue(sendInvite, { userId: 'u1' }, { priority: 'urgent' })
  // @ts-expect-error the handler reads what the schema gives
  queue.work(sendInvite, (input: { userId: number }) => input)
  // @ts-expect-error an outbox writes in a transaction only
  await createOutbox({ knex }).enqueue(sendInvite, { userId: 'u1' }, {})
  // @ts-expect-error an event is emitted and not enqueued
  await queue.enqueue(defineEvent({ name: 'e', schema }), { userId: 'u1' })
})

test('a schema that transforms has one type on the way in and another on the way out', async () => {
  const dated = null as unknown as Schema<{ at: string }, { at: Date }>
  const task = defineTask({ name: 'dated', schema: dated })
  const queue = createQueue({ transport: memoryTransport() })
  await queue.enqueue(task, { at: '2026-01-01' })
  queue.work(task, input => {
    expectTypeOf(input).toEqualTypeOf<{ at: Date }>()
  })
})
