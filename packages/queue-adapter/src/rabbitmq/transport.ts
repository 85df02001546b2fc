import { wholeNumber } from '../errors.ts'
import type { Transport } from '../transport.ts'
import { RabbitConsumer } from './consumer.ts'
import { Declarer, exists } from './declarer.ts'
import { Link, type LinkOptions, type TlsOptions } from './link.ts'
import { Publisher } from './publisher.ts'
import { scanQueue } from './scan.ts'
import { brokerName, brokerUrl } from './url.ts'

const inspectTimeoutMs = 10_000

/** The settings of {@link rabbitmqTransport}. */
export interface RabbitmqTransportOptions {
  /** `amqp://user:password@host:port/vhost`, or `amqps://`; `?heartbeat=` is in seconds, 10 by default. */
  url: string
  /** Messages that are sent and not yet confirmed, at most. @defaultValue `256` */
  window?: number | undefined
  /** How long one attempt to connect may take, in milliseconds. @defaultValue `5000` */
  connectTimeoutMs?: number | undefined
  /** Certificates for `amqps://`, when the system's do not do. */
  tls?: TlsOptions | undefined
}

/**
 * Makes a transport over RabbitMQ (3.10 and later) with amqplib: quorum queues, confirmed publishing, one connection for
 * publishing and one for consuming, each of which comes back by itself.
 *
 * @param options - `url`; `window` of unconfirmed messages (default 256); `connectTimeoutMs` (default 5000 ms); `tls`
 * @returns the transport for `createQueue`; it connects when it is first used
 * @throws QueueError `INVALID_OPTION` for a URL or number it cannot use; no error shows the password
 * @example
 * ```ts
 * import { createQueue } from '@countersign/queue-adapter'
 * import { rabbitmqTransport } from '@countersign/queue-adapter/rabbitmq'
 *
 * const queue = createQueue({ transport: rabbitmqTransport({ url: 'amqp://guest:guest@127.0.0.1:5672' }) })
 * await queue.ready({ timeoutMs: 5000 })
 * ```
 */
export function rabbitmqTransport(options: RabbitmqTransportOptions): Transport {
  const url = brokerUrl(options.url)
  const window = wholeNumber('window', options.window ?? 256, { min: 1, max: 65_536 })
  const connectTimeoutMs = wholeNumber('connectTimeoutMs', options.connectTimeoutMs ?? 5000, { min: 1, max: 600_000 })
  const shared: Omit<LinkOptions, 'role'> = { url, broker: brokerName(url), connectTimeoutMs, tls: options.tls }
  // A memory alarm stops a connection that publishes; what is consumed must go on.
  const publishing = new Link({ ...shared, role: 'publish' })
  const consuming = new Link({ ...shared, role: 'consume' })
  const declarer = new Declarer(publishing)
  const publisher = new Publisher(publishing, declarer, window)
  const consumers = new Set<RabbitConsumer>()

  return {
    durable: true,
    get state() {
      return publishing.state
    },
    onState: listener => publishing.onState(listener),
    ready: async ({ timeoutMs }) => {
      await publishing.connection(timeoutMs)
    },
    declare: (queues, { timeoutMs }) => declarer.declare(queues, timeoutMs),
    publish: (message, { timeoutMs }) => publisher.publish(message, timeoutMs),
    consume: (spec, receive, { concurrency }) => {
      const consumer = new RabbitConsumer({ link: consuming, declarer, publisher }, spec, receive, concurrency)
      consumers.add(consumer)
      return {
        cancel: () => consumer.cancel(),
        close: async () => {
          await consumer.close()
          consumers.delete(consumer)
        },
      }
    },
    scan: (queue, { limit }, visit) => scanQueue({ link: consuming, publisher }, queue, limit, visit),
    depth: async queue => {
      const found = await exists(await consuming.connection(inspectTimeoutMs), queue)
      return found && { ready: found.messageCount, consumers: found.consumerCount }
    },
    close: async () => {
      await Promise.all([...consumers].map(consumer => consumer.close()))
      await publisher.close()
      await Promise.all([publishing.close(), consuming.close()])
    },
  }
}
