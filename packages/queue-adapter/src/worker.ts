import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContextCarrier } from './carrier.ts'
import { InvalidPayloadError, QueueError, stackDigest, wholeNumber } from './errors.ts'
import type { Failure, Message, MessageHeaders } from './message.ts'
import type { QueueNames } from './names.ts'
import { longestDelayMs } from './retry.ts'
import { validate } from './schema.ts'
import { Slots } from './slots.ts'
import type { Task, TopicEvent } from './task.ts'
import type { Outcome, Transport } from './transport.ts'

const settled = channel('countersign.queue-adapter.settled')

/** What a handler is told beside its input. */
export interface HandlerContext {
  readonly id: string
  /** Counted from 1. */
  readonly attempt: number
  /** Aborts when the handler's time is over or its worker's drain is; work after that may be done twice. */
  readonly signal: AbortSignal
  readonly headers: MessageHeaders
}

/** Does one task. Returning is success; throwing, rejecting and running out of time are failures and lead to a retry. */
export type Handler<Output> = (input: Output, context: HandlerContext) => unknown

/** How a worker runs. */
export interface WorkOptions {
  /** How many handlers run at once, 1 to 1000. @defaultValue `1` */
  concurrency?: number | undefined
}

/** Handlers at work. */
export interface Worker {
  /** Resolves when its queues exist (a group's from then on receives events), and rejects when the broker refuses them. */
  ready(): Promise<void>
  /**
   * Takes no new work, waits for running handlers up to `drainMs` milliseconds (default 10,000), then aborts their signals
   * and gives the rest back to the queue, where another worker will do it again.
   */
  stop(options?: { drainMs?: number | undefined }): Promise<{ unfinished: number }>
}

interface WorkerParts<Input, Output> {
  readonly transport: Transport
  readonly carrier: ContextCarrier
  readonly definition: Task<Input, Output> | TopicEvent<Input, Output>
  readonly queues: QueueNames
  readonly handler: Handler<Output>
}

/** A payload that will never be right: it is not tried again. */
class Unusable extends Error {
  readonly reason: Failure['reason']
  constructor(reason: Failure['reason'], cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.reason = reason
  }
}

export function startWorker<Input, Output>(
  parts: WorkerParts<Input, Output>,
  options: WorkOptions,
): Pick<Worker, 'stop'> {
  const { transport, queues } = parts
  const concurrency = wholeNumber('concurrency', options.concurrency ?? 1, { min: 1, max: 1000 })
  const slots = new Slots(concurrency, queues.work.length)
  const running = new Set<Run>()
  const consumers = queues.work.map((spec, rank) => {
    const receive = async (message: Message): Promise<Outcome> => {
      const granted = slots.take(rank)
      if (!(typeof granted === 'boolean' ? granted : await granted)) return { kind: 'release' }
      const run = new Run(parts.definition.timeoutMs)
      running.add(run)
      try {
        return await attempt(parts, spec.name, message, run)
      } finally {
        running.delete(run)
        slots.give(rank)
      }
    }
    return transport.consume(spec, receive, { concurrency })
  })

  let stopped: Promise<{ unfinished: number }> | undefined
  const stop = async (drainMs: number): Promise<{ unfinished: number }> => {
    slots.stop()
    await Promise.all(consumers.map(consumer => consumer.cancel()))
    const over = new AbortController()
    const deadline = sleep(drainMs, undefined, { signal: over.signal }).catch(() => undefined)
    const drained = Promise.all([...running].map(run => run.over))
    await Promise.race([drained, deadline])
    over.abort()
    const unfinished = running.size
    for (const run of running) run.abandon()
    await Promise.all(consumers.map(consumer => consumer.close()))
    return { unfinished }
  }
  return {
    stop: async ({ drainMs = 10_000 } = {}) => {
      wholeNumber('drainMs', drainMs, { min: 0, max: 3_600_000 })
      return (stopped ??= stop(drainMs))
    },
  }
}

/** One call of a handler: its signal, its time limit and how it can be given up. */
class Run {
  #controller: AbortController | undefined
  #why: QueueError | undefined
  readonly #timer: NodeJS.Timeout
  readonly over: Promise<void>
  #end: () => void = () => undefined
  #giveUp: (outcome: 'abandoned' | QueueError) => void = () => undefined
  readonly givenUp: Promise<'abandoned' | QueueError>

  constructor(timeoutMs: number) {
    this.over = new Promise(resolve => (this.#end = resolve))
    this.givenUp = new Promise(resolve => (this.#giveUp = resolve))
    this.#timer = setTimeout(() => {
      const why = new QueueError('HANDLER_TIMEOUT', `the handler took longer than ${timeoutMs} ms`)
      this.#giveUp(why)
      this.#abort(why)
    }, timeoutMs)
  }

  get signal(): AbortSignal {
    // Made when a handler asks for it: most do not, and it is the dearest part of a run.
    this.#controller ??= new AbortController()
    if (this.#why) this.#controller.abort(this.#why)
    return this.#controller.signal
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#end()
  }

  abandon(): void {
    clearTimeout(this.#timer)
    this.#giveUp('abandoned')
    this.#abort(new QueueError('QUEUE_CLOSED', 'the worker was stopped before the handler was done'))
  }

  #abort(why: QueueError): void {
    this.#why = why
    this.#controller?.abort(why)
  }
}

async function attempt<Input, Output>(
  parts: WorkerParts<Input, Output>,
  queue: string,
  message: Message,
  run: Run,
): Promise<Outcome> {
  const { definition, carrier, handler } = parts
  const started = performance.now()
  const report = (outcome: 'done' | 'retry' | 'dead' | 'released', error?: unknown): void => {
    if (!settled.hasSubscribers) return
    const { id, attempt: number } = message
    settled.publish({
      name: definition.name,
      queue,
      id,
      attempt: number,
      outcome,
      error,
      durationMs: performance.now() - started,
    })
  }
  const call = async (): Promise<'handled'> => {
    const input = await read(definition, message)
    const { id, attempt: number, headers } = message
    const context: HandlerContext = {
      id,
      attempt: number,
      headers,
      get signal() {
        return run.signal
      },
    }
    await carrier.run(headers, () => handler(input, context))
    return 'handled'
  }
  try {
    const called = call()
    const result = await Promise.race([called, run.givenUp])
    // Whatever a handler that was given up still says is of no consequence: its message is settled.
    if (result !== 'handled') called.catch(() => undefined)
    if (result === 'abandoned') {
      report('released')
      return { kind: 'release' }
    }
    if (result !== 'handled') throw result
    report('done')
    return { kind: 'done' }
  } catch (error) {
    const outcome = afterFailure(parts, queue, message, error)
    report(outcome.message.failure ? 'dead' : 'retry', error)
    return outcome
  } finally {
    run.end()
  }
}

async function read<Input, Output>(
  definition: Task<Input, Output> | TopicEvent<Input, Output>,
  message: Message,
): Promise<Output> {
  let payload: unknown
  try {
    const { buffer, byteOffset, byteLength } = message.body
    payload = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8'))
  } catch (cause) {
    throw new Unusable('undecodable', cause)
  }
  try {
    return await validate(definition.schema, definition.name, payload)
  } catch (cause) {
    throw cause instanceof InvalidPayloadError ? new Unusable('invalid', cause) : cause
  }
}

function afterFailure<Input, Output>(
  { definition, queues }: WorkerParts<Input, Output>,
  queue: string,
  message: Message,
  error: unknown,
): Outcome & { kind: 'move' } {
  const { retry } = definition
  const now = Date.now()
  if (!(error instanceof Unusable) && message.attempt < retry.attempts) {
    const delayMs = Math.min(longestDelayMs, retry.delayMs(message.attempt))
    const notBefore = delayMs > 0 ? now + delayMs : undefined
    return { kind: 'move', message: { ...message, attempt: message.attempt + 1, to: { queue }, notBefore } }
  }
  const cause = error instanceof Unusable ? error.cause : error
  const failure: Failure = {
    reason: error instanceof Unusable ? error.reason : 'failed',
    errorType: (cause instanceof Error ? cause.name : typeof cause).slice(0, 100),
    errorMessage: (cause instanceof Error ? cause.message : String(cause)).slice(0, 1000),
    stackDigest: stackDigest(cause),
    attempts: message.attempt,
    at: now,
  }
  return {
    kind: 'move',
    message: { ...message, to: { queue: queues.dead }, source: queue, failure, notBefore: undefined },
  }
}
