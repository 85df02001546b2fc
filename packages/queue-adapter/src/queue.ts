import { noCarrier, type ContextCarrier } from './carrier.ts'
import { deadLetters, type DeadLetters } from './dead.ts'
import { invalidOption, wholeNumber } from './errors.ts'
import type { OutgoingMessage } from './message.ts'
import { groupQueues, taskDeadQueue, taskQueue, taskQueues, topicOf, type QueueNames } from './names.ts'
import { prepare, type EmitOptions, type EnqueueOptions, type PreparedMessage } from './prepare.ts'
import { checkName, type Task, type TopicEvent } from './task.ts'
import type { PublishOptions, Transport, TransportState } from './transport.ts'
import { startWorker, type Handler, type WorkOptions, type Worker } from './worker.ts'

/** The settings of {@link createQueue}. */
export interface QueueOptions {
  transport: Transport
  /** Joins a task to the request that started it. @defaultValue none */
  carrier?: ContextCarrier | undefined
  /** Stands before every queue's name, so that several apps can share a broker. @defaultValue `''` */
  prefix?: string | undefined
  /** How long `enqueue` and `emit` may take, in milliseconds; then they reject. @defaultValue `10_000` */
  publishTimeoutMs?: number | undefined
}

/** How a group receives a topic event. */
export interface SubscribeOptions extends WorkOptions {
  /** Every group receives each event once, however many processes it has. */
  group: string
}

/** How much waits for a task. Delayed tasks are not counted before they are due. */
export interface QueueDepth {
  readonly high: number
  readonly normal: number
  readonly low: number
  readonly dead: number
  readonly workers: number
}

/** Tasks and topic events over one transport. */
export interface Queue {
  readonly state: TransportState
  readonly transport: Transport
  /** Resolves when the broker can be used; rejects with `BROKER_REFUSED` at once, or `BROKER_UNAVAILABLE` in time. */
  ready(options?: { timeoutMs?: number | undefined }): Promise<void>
  /** Resolves when the broker holds the task. At least once: after `PUBLISH_UNKNOWN`, enqueue again with the same id. */
  enqueue<Input, Output>(
    task: Task<Input, Output>,
    input: NoInfer<Input>,
    options?: EnqueueOptions,
  ): Promise<{ id: string }>
  /** Starts handlers; they take up their work again by themselves when the broker comes back. */
  work<Input, Output>(task: Task<Input, Output>, handler: Handler<NoInfer<Output>>, options?: WorkOptions): Worker
  /** Resolves when every group that has subscribed holds the event. */
  emit<Input, Output>(
    event: TopicEvent<Input, Output>,
    input: NoInfer<Input>,
    options?: EmitOptions,
  ): Promise<{ id: string }>
  /** Starts handlers of one group. A group receives what is emitted after its first subscription, also while it is away. */
  subscribe<Input, Output>(
    event: TopicEvent<Input, Output>,
    options: SubscribeOptions,
    handler: Handler<NoInfer<Output>>,
  ): Worker
  /** The dead letters of a task, or of a group's subscription. */
  dead(definition: Task | TopicEvent, options?: { group?: string | undefined }): DeadLetters
  /** Counts what waits for a task, and the workers that wait for it. */
  depth(task: Task): Promise<QueueDepth>
  /** Publishes a message that was prepared earlier: the way out of an outbox. */
  publish(message: PreparedMessage, options?: Partial<PublishOptions>): Promise<void>
  /** Stops all workers as `worker.stop` does, waits for pending publishes, and leaves the broker. */
  close(options?: { drainMs?: number | undefined }): Promise<{ unfinished: number }>
}

/**
 * Opens a queue over a transport.
 *
 * @param options - the transport, a `carrier` for the context, a `prefix` for queue names (default none) and
 *   `publishTimeoutMs` (default 10,000 ms)
 * @returns the queue; it connects by itself and need not be awaited
 * @throws QueueError `INVALID_OPTION` for a bad prefix or time
 * @example
 * ```ts
 * import { createQueue, defineTask } from '@countersign/queue-adapter'
 * import { jsonSchema } from '@countersign/queue-adapter/ajv'
 * import { memoryTransport } from '@countersign/queue-adapter/memory'
 *
 * const greet = defineTask({ name: 'greet', schema: jsonSchema<string>({ type: 'string' }) })
 * const queue = createQueue({ transport: memoryTransport() })
 * const worker = queue.work(greet, async (name, { id }) => `hello ${name} (${id})`, { concurrency: 4 })
 * await queue.enqueue(greet, 'Ada', { id: 'greet-ada', priority: 'high' })
 * await worker.stop({ drainMs: 1000 })
 * await queue.close()
 * ```
 */
export function createQueue(options: QueueOptions): Queue {
  const { transport, carrier = noCarrier, prefix = '' } = options
  const publishTimeoutMs = wholeNumber('publishTimeoutMs', options.publishTimeoutMs ?? 10_000, { min: 1, max: 600_000 })
  if (prefix !== '') checkName('prefix', prefix)
  const workers = new Set<Worker>()
  const declared = new Map<string, { readonly declaring: Promise<void>; done: boolean }>()

  const declare = (queues: QueueNames, timeoutMs = publishTimeoutMs): Promise<void> => {
    const known = declared.get(queues.dead)
    if (known) return known.declaring
    const entry = { declaring: transport.declare(queues.specs, { timeoutMs }), done: false }
    declared.set(queues.dead, entry)
    entry.declaring.then(
      () => (entry.done = true),
      () => declared.delete(queues.dead),
    )
    return entry.declaring
  }

  const publish = (message: PreparedMessage, settings: Partial<PublishOptions> = {}): Promise<void> => {
    const { name, id, body, headers, notBefore, kind } = message
    const { timeoutMs = publishTimeoutMs, onSettled } = settings
    const to = kind === 'task' ? { queue: taskQueue(prefix, name, message.priority) } : { topic: topicOf(prefix, name) }
    const outgoing: OutgoingMessage = { id, type: name, body, headers, attempt: 1, to, notBefore }
    if (kind === 'event' || declared.get(taskDeadQueue(prefix, name))?.done) {
      return transport.publish(outgoing, { timeoutMs, onSettled })
    }
    const deadline = performance.now() + timeoutMs
    return declare(taskQueues(prefix, name), timeoutMs).then(() =>
      transport.publish(outgoing, { timeoutMs: Math.max(1, deadline - performance.now()), onSettled }),
    )
  }
  const send = async <Input, Output>(
    definition: Task<Input, Output> | TopicEvent<Input, Output>,
    input: Input,
    settings: EnqueueOptions = {},
  ): Promise<{ id: string }> => {
    const prepared = prepare(definition, input, settings, carrier)
    const message = prepared instanceof Promise ? await prepared : prepared
    await publish(message)
    return { id: message.id }
  }
  const start = <Input, Output>(
    definition: Task<Input, Output> | TopicEvent<Input, Output>,
    queues: QueueNames,
    handler: Handler<Output>,
    settings: WorkOptions,
  ): Worker => {
    if (typeof handler !== 'function') throw invalidOption('handler', 'a function', handler)
    const ready = declare(queues)
    const inner = startWorker({ transport, carrier, definition, queues, handler }, settings)
    const worker: Worker = {
      ready: () => ready,
      stop: async stopOptions => {
        const result = await inner.stop(stopOptions)
        workers.delete(worker)
        return result
      },
    }
    workers.add(worker)
    return worker
  }
  const queuesOf = (definition: Task | TopicEvent, group?: string): QueueNames => {
    if (definition.kind === 'task') return taskQueues(prefix, definition.name)
    return groupQueues(prefix, definition.name, checkName('group', group ?? ''))
  }

  return {
    transport,
    get state() {
      return transport.state
    },
    ready: ({ timeoutMs = publishTimeoutMs } = {}) => transport.ready({ timeoutMs }),
    enqueue: send,
    emit: send,
    work: (task, handler, settings = {}) => start(task, taskQueues(prefix, task.name), handler, settings),
    subscribe: (event, settings, handler) =>
      start(event, groupQueues(prefix, event.name, checkName('group', settings.group)), handler, settings),
    dead: (definition, { group } = {}) => {
      const queues = queuesOf(definition, group)
      return deadLetters(transport, queues, () => declare(queues))
    },
    depth: async task => {
      const { work, dead } = taskQueues(prefix, task.name)
      const [high, normal, low, buried] = await Promise.all(
        [...work.map(spec => spec.name), dead].map(name => transport.depth(name)),
      )
      const workers = Math.max(high?.consumers ?? 0, normal?.consumers ?? 0, low?.consumers ?? 0)
      return {
        high: high?.ready ?? 0,
        normal: normal?.ready ?? 0,
        low: low?.ready ?? 0,
        dead: buried?.ready ?? 0,
        workers,
      }
    },
    publish,
    close: async closeOptions => {
      const results = await Promise.all([...workers].map(worker => worker.stop(closeOptions)))
      await transport.close()
      return { unfinished: results.reduce((sum, { unfinished }) => sum + unfinished, 0) }
    },
  }
}
