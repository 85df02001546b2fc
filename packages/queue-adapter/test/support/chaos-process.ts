import knexModule from 'knex'
import { createQueue } from '../../src/index.ts'
import { memoryTransport } from '../../src/memory/index.ts'
import { createInbox, createOutbox } from '../../src/postgres/index.ts'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { numberTask } from './schemas.ts'

/** A worker process that tests kill: `calls` counts what was handled, `effects` what the inbox let through. */
const [amqpUrl = '', postgresUrl = '', prefix = '', name = ''] = process.argv.slice(2)
const knex = knexModule({ client: 'pg', connection: postgresUrl, pool: { min: 0, max: 12 } })
const transport = amqpUrl === 'memory' ? memoryTransport() : rabbitmqTransport({ url: amqpUrl })
const queue = createQueue({ transport, prefix })
const task = numberTask(name)
const inbox = createInbox({ knex })
const handle = inbox.handler(task, async ({ n }, { transaction }) => {
  await transaction('effects').insert({ n })
})
queue.work(
  task,
  async (input, context) => {
    await knex('calls').insert({ n: input.n, attempt: context.attempt })
    // One task hangs until its process ends.
    if (amqpUrl === 'memory' && input.n === 99) await new Promise(() => undefined)
    await handle(input, context)
  },
  { concurrency: 10 },
)
const relay = amqpUrl === 'memory' ? createOutbox({ knex }).relay(queue, { pollMs: 50 }) : undefined
process.on('SIGTERM', () => {
  const leave = async (): Promise<void> => {
    await queue.close({ drainMs: 5000 })
    await relay?.stop({ drainMs: 1000 })
    await knex.destroy()
  }
  leave().then(
    () => process.exit(0),
    () => process.exit(1),
  )
})
process.stdout.write('started\n')
