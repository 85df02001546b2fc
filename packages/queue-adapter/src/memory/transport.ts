import { QueueError, wholeNumber } from '../errors.ts'
import type { OutgoingMessage } from '../message.ts'
import type { Consumer, Outcome, QueueSpec, Transport, TransportState } from '../transport.ts'
import { Delays } from './delays.ts'
import { MemoryQueue, type Held } from './queue.ts'

/** The settings of {@link memoryTransport}. */
export interface MemoryTransportOptions {
  /** How many messages it holds, dead and delayed ones included; then publishing rejects. @defaultValue `100_000` */
  maxMessages?: number | undefined
}

/**
 * Makes a transport inside this process, for development, tests and single-process servers.
 *
 * Messages end with the process; over an outbox they do not, since its rows stay until the handlers are done.
 *
 * @param options - `maxMessages` is how many messages it holds (default 100,000)
 * @returns the transport for `createQueue`
 * @throws QueueError `INVALID_OPTION`; publishing rejects with `QUEUE_FULL` at the bound
 * @example
 * ```ts
 * import { createQueue } from '@countersign/queue-adapter'
 * import { memoryTransport } from '@countersign/queue-adapter/memory'
 *
 * const queue = createQueue({ transport: memoryTransport({ maxMessages: 10_000 }) })
 * ```
 */
export function memoryTransport(options: MemoryTransportOptions = {}): Transport {
  const maxMessages = wholeNumber('maxMessages', options.maxMessages ?? 100_000, { min: 1, max: 10_000_000 })
  const queues = new Map<string, MemoryQueue>()
  const topics = new Map<string, Set<string>>()
  const deadNames = new Set<string>()
  const listeners = new Set<(state: TransportState) => void>()
  let state: TransportState = 'ready'
  let held = 0

  const delays = new Delays<{ name: string; held: Held }>(due => {
    queues.get(due.name)?.push(due.held)
  })

  const put = (name: string, entry: Held): void => {
    const { notBefore } = entry.message
    if (notBefore !== undefined && notBefore > Date.now()) delays.add(notBefore, { name, held: entry })
    else queues.get(name)?.push(entry)
    if (deadNames.has(name)) entry.onSettled?.('dead')
  }

  const after = (entry: Held, outcome: Outcome): void => {
    if (state === 'closed') return
    if (outcome.kind === 'move' && 'queue' in outcome.message.to) {
      put(outcome.message.to.queue, { message: outcome.message, onSettled: entry.onSettled })
      return
    }
    held -= 1
    entry.onSettled?.('done')
  }

  const declare = (spec: QueueSpec): MemoryQueue => {
    const queue = queues.get(spec.name) ?? new MemoryQueue(after)
    queues.set(spec.name, queue)
    if (spec.kind === 'dead') deadNames.add(spec.name)
    if (spec.topic !== undefined) topics.set(spec.topic, (topics.get(spec.topic) ?? new Set()).add(spec.name))
    return queue
  }

  const targets = ({ to }: OutgoingMessage): readonly string[] => {
    if ('topic' in to) return [...(topics.get(to.topic) ?? [])]
    if (!queues.has(to.queue)) throw new QueueError('PUBLISH_REJECTED', `there is no queue ${to.queue}`)
    return [to.queue]
  }

  const open = (): void => {
    if (state === 'closed') throw new QueueError('QUEUE_CLOSED', 'the queue is closed')
  }

  return {
    durable: false,
    get state() {
      return state
    },
    onState: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    ready: async () => {
      open()
    },
    declare: async specs => {
      open()
      specs.forEach(declare)
    },
    publish: async (message, { onSettled }) => {
      open()
      const names = targets(message)
      if (held + names.length > maxMessages) {
        throw new QueueError('QUEUE_FULL', `the memory queue holds its ${maxMessages} messages`)
      }
      held += names.length
      let unsettled = names.length
      if (unsettled === 0) onSettled?.('done')
      const settled =
        onSettled &&
        ((became: 'done' | 'dead'): void => {
          if (became === 'dead') onSettled('dead')
          else if (--unsettled === 0) onSettled('done')
        })
      for (const name of names) put(name, { message, onSettled: settled })
    },
    consume: (spec, receive, { concurrency }): Consumer => {
      open()
      const queue = declare(spec)
      const taker = queue.add(receive, concurrency)
      const cancel = async (): Promise<void> => {
        queue.remove(taker)
      }
      return { cancel, close: cancel }
    },
    scan: async (name, { limit }, visit) => {
      open()
      const queue = queues.get(name)
      if (!queue) return 0
      const kept: Held[] = []
      let shown = 0
      try {
        for (let entry = queue.shift(); entry; entry = queue.shift()) {
          kept.push(entry)
          shown += 1
          const verdict = await visit(entry.message)
          if (verdict.kind === 'done' || verdict.kind === 'move') {
            kept.pop()
            after(entry, verdict)
          }
          if (shown >= limit) break
        }
      } finally {
        queue.giveBack(kept)
      }
      return shown
    },
    depth: async name => {
      const queue = queues.get(name)
      return queue && { ready: queue.ready, consumers: queue.consumers }
    },
    close: async () => {
      state = 'closed'
      delays.clear()
      queues.clear()
      for (const listener of listeners) listener(state)
    },
  }
}
