import type { Knex } from 'knex'
import { wholeNumber } from '../errors.ts'
import type { Task, TopicEvent } from '../task.ts'
import type { Handler, HandlerContext } from '../worker.ts'
import { run } from './transaction.ts'

/** A handler whose effects are in the transaction it is given. */
export type TransactionalHandler<Output> = (
  input: Output,
  context: HandlerContext & { readonly transaction: Knex.Transaction },
) => unknown

/** Makes handlers effectively once: what they write in their transaction is written once per message id. */
export interface Inbox {
  /**
   * Wraps a handler for `queue.work` or `queue.subscribe`. A message that was handled before is done at once; two deliveries
   * of one message at the same time wait for each other. `group` tells the groups of an event apart.
   */
  handler<Input, Output>(
    definition: Task<Input, Output> | TopicEvent<Input, Output>,
    handle: TransactionalHandler<NoInfer<Output>>,
    options?: { group?: string | undefined },
  ): Handler<Output>
  /** Forgets messages handled longer ago than this, in milliseconds; a duplicate that comes later is handled again. */
  forget(options: { olderThanMs: number }): Promise<{ forgotten: number }>
}

/**
 * Opens the inbox in the table `queue_inbox`.
 *
 * @param options - `knex` on PostgreSQL, with `migrations()` applied
 * @returns the inbox
 * @example
 * ```ts
 * import { createQueue, defineTask } from '@countersign/queue-adapter'
 * import { jsonSchema } from '@countersign/queue-adapter/ajv'
 * import { createInbox } from '@countersign/queue-adapter/postgres'
 * import { rabbitmqTransport } from '@countersign/queue-adapter/rabbitmq'
 * import knexModule from 'knex'
 *
 * const knex = knexModule({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const charge = defineTask({ name: 'charge', schema: jsonSchema<number>({ type: 'integer' }) })
 * const queue = createQueue({ transport: rabbitmqTransport({ url: 'amqp://127.0.0.1' }) })
 * const inbox = createInbox({ knex })
 * queue.work(
 *   charge,
 *   inbox.handler(charge, async (amount, { transaction }) => {
 *     await transaction('charges').insert({ amount })
 *   }),
 * )
 * ```
 */
export function createInbox({ knex }: { knex: Knex }): Inbox {
  return {
    handler: (definition, handle, { group } = {}) => {
      const consumer = group === undefined ? definition.name : `${definition.name}@${group}`
      return async (input, context) => {
        await knex.transaction(async transaction => {
          const sql = 'insert into queue_inbox (consumer, message_id) values (?, ?) on conflict do nothing returning 1'
          const [isNew] = await run(transaction, sql, [consumer, context.id])
          if (isNew) await handle(input, { ...context, transaction })
        })
      }
    },
    forget: async ({ olderThanMs }) => {
      wholeNumber('olderThanMs', olderThanMs, { min: 0, max: Number.MAX_SAFE_INTEGER })
      const sql = `with gone as (
          delete from queue_inbox where handled_at < clock_timestamp() - ? * interval '1 millisecond' returning 1
        ) select count(*)::integer as forgotten from gone`
      const [row] = await run(knex, sql, [olderThanMs])
      return row as { forgotten: number }
    },
  }
}
