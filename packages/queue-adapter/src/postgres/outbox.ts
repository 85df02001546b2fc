import type { Knex } from 'knex'
import { noCarrier, type ContextCarrier } from '../carrier.ts'
import { invalidOption } from '../errors.ts'
import { prepare, type EmitOptions, type EnqueueOptions, type PreparedMessage } from '../prepare.ts'
import type { Queue } from '../queue.ts'
import type { Task, TopicEvent } from '../task.ts'
import { startRelay, type Relay, type RelayOptions } from './relay.ts'
import { startSchedule, type Schedule, type ScheduleOptions } from './schedule.ts'
import { afterCommit, run, type Transaction } from './transaction.ts'

/** The settings of {@link createOutbox}. */
export interface OutboxOptions {
  knex: Knex
  /** Joins a task to the request that started it; give the queue the same one. @defaultValue none */
  carrier?: ContextCarrier | undefined
}

/** Tasks and topic events that are sent if, and only if, the caller's transaction commits. */
export interface Outbox {
  /**
   * Writes a task in the caller's transaction. With a knex or Objection transaction this process's relays wake at its
   * commit; with a `pg` client call `wake` after it. Other processes' relays find the row when they next poll.
   */
  enqueue<Input, Output>(
    task: Task<Input, Output>,
    input: NoInfer<Input>,
    options: EnqueueOptions & { transaction: Transaction },
  ): Promise<{ id: string }>
  /** Writes a topic event in the caller's transaction, as `enqueue` does a task. */
  emit<Input, Output>(
    event: TopicEvent<Input, Output>,
    input: NoInfer<Input>,
    options: EmitOptions & { transaction: Transaction },
  ): Promise<{ id: string }>
  /**
   * Sends a task at the times of a cron expression (UTC): once per time, however many processes have the schedule. Times at
   * which no process runs are not made up for.
   */
  schedule<Input, Output>(
    task: Task<Input, Output>,
    input: NoInfer<Input>,
    options: ScheduleOptions & Pick<EnqueueOptions, 'priority' | 'headers'>,
  ): Schedule
  /** Starts to hand committed rows to a queue; each is deleted when the queue holds it for good. */
  relay(queue: Queue, options?: RelayOptions): Relay
  /** Makes this process's relays look at once. */
  wake(): void
}

/**
 * Opens the outbox in the table `queue_outbox`. It never calls NOTIFY, which would make commits wait for each other.
 *
 * @param options - `knex` on PostgreSQL, with `migrations()` applied, and a `carrier` for the context (default none)
 * @returns the outbox; `enqueue` and `emit` require the transaction
 * @throws QueueError `INVALID_PAYLOAD` and `INVALID_OPTION` from `enqueue` and `emit`, before anything is written
 * @example
 * ```ts
 * import { createQueue, defineTask } from '@countersign/queue-adapter'
 * import { jsonSchema } from '@countersign/queue-adapter/ajv'
 * import { memoryTransport } from '@countersign/queue-adapter/memory'
 * import { createOutbox } from '@countersign/queue-adapter/postgres'
 * import knexModule from 'knex'
 *
 * const knex = knexModule({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const welcome = defineTask({ name: 'welcome', schema: jsonSchema<string>({ type: 'string' }) })
 * const queue = createQueue({ transport: memoryTransport() })
 * const outbox = createOutbox({ knex })
 * const relay = outbox.relay(queue, { batch: 500, pollMs: 1000 })
 *
 * await knex.transaction(async transaction => {
 *   await transaction('users').insert({ name: 'Ada' })
 *   await outbox.enqueue(welcome, 'Ada', { transaction })
 * })
 * await relay.stop({ drainMs: 5000 })
 * ```
 */
export function createOutbox(options: OutboxOptions): Outbox {
  const { knex, carrier = noCarrier } = options
  const relays = new Set<() => void>()
  const wake = (): void => {
    for (const wakeRelay of relays) wakeRelay()
  }

  const write = async <Input, Output>(
    definition: Task<Input, Output> | TopicEvent<Input, Output>,
    input: Input,
    settings: EnqueueOptions & { transaction: Transaction },
  ): Promise<{ id: string }> => {
    const { transaction } = settings
    // A row written outside the business transaction would be the very loss an outbox is there to prevent.
    if (!isTransaction(transaction))
      throw invalidOption('transaction', 'a knex transaction or a pg client', transaction)
    const message = await prepare(definition, input, settings, carrier)
    await insert(transaction, message)
    afterCommit(transaction, wake)
    return { id: message.id }
  }

  return {
    enqueue: write,
    emit: write,
    schedule: (task, input, settings) => {
      const { name, priority, headers } = settings
      return startSchedule(knex, settings, (at, transaction) =>
        write(task, input, { id: `${name}@${new Date(at).toISOString()}`, priority, headers, transaction }),
      )
    },
    relay: (queue, settings = {}) => {
      const relay = startRelay(knex, queue, settings)
      relays.add(relay.wake)
      return {
        stop: async stopOptions => {
          await relay.stop(stopOptions)
          relays.delete(relay.wake)
        },
      }
    },
    wake,
  }
}

async function insert(transaction: Transaction, message: PreparedMessage): Promise<void> {
  const { id, kind, name, priority, headers, body, notBefore } = message
  const values = [id, kind, name, priority, JSON.stringify(headers), body]
  const columns = 'message_id, kind, name, priority, headers, body'
  if (notBefore === undefined) {
    await run(transaction, `insert into queue_outbox (${columns}) values (?, ?, ?, ?, ?, ?)`, values)
    return
  }
  const sql = `insert into queue_outbox (${columns}, available_at) 
    values (?, ?, ?, ?, ?, ?, clock_timestamp() + ? * interval '1 millisecond')`
  await run(transaction, sql, [...values, Math.max(0, notBefore - Date.now())])
}

function isTransaction(value: unknown): boolean {
  if (typeof value === 'function') return (value as { isTransaction?: boolean }).isTransaction === true
  return typeof value === 'object' && value !== null && 'query' in value && typeof value.query === 'function'
}
