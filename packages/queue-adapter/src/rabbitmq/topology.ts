import type { Options } from 'amqplib'
import type { QueueSpec } from '../transport.ts'

export const eventsExchange = 'countersign.events'

/** The delays a message can rest for in one go, in milliseconds; longer and odd delays are put together from them. */
export const delaySteps: readonly number[] = [250, 1000, 4000, 16_000, 64_000, 256_000, 1_024_000]

/** A message that crashed its workers this often goes to the dead queue (RabbitMQ 4's own default). */
const deliveryLimit = 20
/** RabbitMQ 4 limits every quorum queue; in a dead queue, where looking counts as a delivery, that would lose messages. */
const practicallyNever = 1_000_000_000

/** Moves a dead-lettered message only when its new queue has confirmed it. */
const safeDeadLettering = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' }

export interface QueueDeclaration {
  readonly name: string
  readonly options: Options.AssertQueue
}

export function delayName(stepMs: number): string {
  return `countersign.delay.${stepMs}`
}

/** The step to rest in for now, when `leftMs` are left: the longest that is not too long. */
export function delayStep(leftMs: number): number {
  return delaySteps.findLast(step => step <= leftMs) ?? delaySteps[0] ?? 0
}

export function queueDeclaration(spec: QueueSpec): QueueDeclaration {
  const deadLettering =
    spec.deadQueue === undefined
      ? { 'x-delivery-limit': practicallyNever }
      : {
          'x-delivery-limit': deliveryLimit,
          'x-dead-letter-exchange': '',
          'x-dead-letter-routing-key': spec.deadQueue,
          ...safeDeadLettering,
        }
  return { name: spec.name, options: { durable: true, arguments: { 'x-queue-type': 'quorum', ...deadLettering } } }
}

/** A delay is a fanout exchange before a queue without consumers; what expires in it goes home by its routing key. */
export function delayDeclaration(stepMs: number): QueueDeclaration {
  return {
    name: delayName(stepMs),
    options: {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-message-ttl': stepMs,
        'x-delivery-limit': practicallyNever,
        'x-dead-letter-exchange': '',
        ...safeDeadLettering,
      },
    },
  }
}

/** Lists what is declared for these queues, one line an object, without asking a broker. */
export function describeTopology(specs: readonly QueueSpec[]): string[] {
  const shown = ({ name, options }: QueueDeclaration): string => {
    const settings = Object.entries(options.arguments as Record<string, string | number>)
    return `queue ${name} ${settings.map(([key, value]) => `${key}=${value === '' ? '(default)' : value}`).join(' ')}`
  }
  const bound = specs.filter(spec => spec.topic !== undefined)
  return [
    ...specs.map(spec => shown(queueDeclaration(spec))),
    ...(bound.length > 0 ? [`exchange ${eventsExchange} topic`] : []),
    ...bound.map(({ name, topic }) => `binding ${eventsExchange} -> ${name} on ${topic}`),
    ...delaySteps.flatMap(step => [
      `exchange ${delayName(step)} fanout`,
      shown(delayDeclaration(step)),
      `binding ${delayName(step)} -> ${delayName(step)}`,
    ]),
  ]
}
