import type { ChannelModel, ConfirmChannel } from 'amqplib'
import { PublishUnknownError, QueueError } from '../errors.ts'
import type { OutgoingMessage } from '../message.ts'
import { coalesce } from './coalesce.ts'
import type { Declarer } from './declarer.ts'
import { whileOpen, within } from './failure.ts'
import type { Link } from './link.ts'
import { delayName, delayStep, eventsExchange } from './topology.ts'
import { Window } from './window.ts'
import { propertiesOf } from './wire.ts'

const windowBytes = 32 * 1024 * 1024

interface Route {
  readonly exchange: string
  readonly key: string
  /** Whether a message that no queue takes is an error. */
  readonly mandatory: boolean
}

/** One confirm channel, as long as it lives. */
interface Line {
  readonly connection: ChannelModel
  readonly channel: ConfirmChannel
  open: boolean
  /** Messages that came back because no queue took them, by route and id; their confirmation follows. */
  readonly returned: Map<string, number>
}

/** Publishes through one confirm channel, a bounded number of messages at a time, each with its own confirmation. */
export class Publisher {
  readonly #link: Link
  readonly #declarer: Declarer
  readonly #window: Window
  #line: Promise<Line> | undefined
  #current: Line | undefined

  constructor(link: Link, declarer: Declarer, window: number) {
    this.#link = link
    this.#declarer = declarer
    this.#window = new Window({ messages: window, bytes: windowBytes })
  }

  publish(message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const size = message.body.byteLength
    const place = this.#window.enter(size, timeoutMs)
    // Almost always there is a place, the queue is made and the channel open: then the message goes out at once.
    const line = place || message.notBefore !== undefined ? undefined : this.#usable()
    const declared = line && this.#declared(message, timeoutMs)
    if (line && !declared) return this.#send(line, message, timeoutMs)
    return this.#publishLater(message, timeoutMs, [place, declared])
  }

  async #publishLater(
    message: OutgoingMessage,
    timeoutMs: number,
    [place, declared]: readonly (Promise<void> | undefined)[],
  ): Promise<void> {
    const deadline = performance.now() + timeoutMs
    const left = (): number => Math.max(1, deadline - performance.now())
    await place
    let line: Line
    try {
      await (declared ?? this.#declared(message, left()))
      if (message.notBefore !== undefined) await this.#declarer.delays(left())
      line = this.#usable() ?? (await this.#open(left()))
    } catch (error) {
      this.#window.leave(message.body.byteLength)
      throw error
    }
    await this.#send(line, message, left())
  }

  /** Undefined when there is nothing to wait for. */
  #declared({ to }: OutgoingMessage, timeoutMs: number): Promise<void> | undefined {
    return 'topic' in to ? this.#declarer.events(timeoutMs) : this.#declarer.queue(to.queue, timeoutMs)
  }

  async close(): Promise<void> {
    const late = (): QueueError => new QueueError('BROKER_UNAVAILABLE', 'confirmations are missing')
    // Closing the connection at once would drop what is on its way: first the confirmations, then the channel.
    await within(this.#window.empty(), 5000, late).catch(() => undefined)
    const line = this.#usable()
    if (line) await within(line.channel.close(), 2000, late).catch(() => undefined)
  }

  #usable(): Line | undefined {
    const line = this.#current
    return line?.open && this.#link.state === 'ready' && this.#link.isCurrent(line.connection) ? line : undefined
  }

  async #open(timeoutMs: number): Promise<Line> {
    const connection = await this.#link.connection(timeoutMs)
    const usable = this.#usable()
    if (usable) return usable
    this.#line ??= this.#openOn(connection).finally(() => (this.#line = undefined))
    const late = (): QueueError => new QueueError('BROKER_UNAVAILABLE', 'the broker opened no channel in time')
    return within(this.#line, timeoutMs, late)
  }

  async #openOn(connection: ChannelModel): Promise<Line> {
    const channel = await whileOpen(connection, connection.createConfirmChannel())
    const line: Line = { connection, channel, open: true, returned: new Map() }
    channel.on('error', () => {
      // An exchange is gone: every message in flight rejects through its callback, and the next one makes it again.
      line.open = false
      this.#declarer.forget()
    })
    channel.on('close', () => {
      line.open = false
    })
    channel.on('return', ({ fields, properties }) => {
      const key = `${fields.exchange}\n${fields.routingKey}\n${String(properties.messageId)}`
      line.returned.set(key, (line.returned.get(key) ?? 0) + 1)
    })
    this.#current = line
    return line
  }

  #send(line: Line, message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const route = routeOf(message)
    const size = message.body.byteLength
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new PublishUnknownError(message.id, 'the broker did not confirm it in time'))
      }, timeoutMs)
      const confirmed = (error: unknown): void => {
        clearTimeout(timer)
        this.#window.leave(size)
        const failure = this.#failureOf(line, route, message, error)
        if (failure) reject(failure)
        else resolve()
      }
      const { body } = message
      try {
        const content = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
        const options = propertiesOf(message)
        options.mandatory = route.mandatory
        coalesce(line.connection)
        line.channel.publish(route.exchange, route.key, content, options, confirmed)
      } catch (cause) {
        // The channel died since it was looked at: nothing was sent.
        clearTimeout(timer)
        this.#window.leave(size)
        reject(new QueueError('BROKER_UNAVAILABLE', 'the connection was lost before the message was sent', { cause }))
      }
    })
  }

  #failureOf(line: Line, route: Route, message: OutgoingMessage, error: unknown): QueueError | undefined {
    if (error instanceof Error) {
      if (error.message !== 'message nacked') {
        return new PublishUnknownError(message.id, 'the connection was lost before it was confirmed', { cause: error })
      }
      return new QueueError('PUBLISH_REJECTED', `${message.id}: the broker refused the message`, { cause: error })
    }
    if (line.returned.size === 0) return undefined
    const key = `${route.exchange}\n${route.key}\n${message.id}`
    const count = line.returned.get(key)
    if (count === undefined) return undefined
    if (count > 1) line.returned.set(key, count - 1)
    else line.returned.delete(key)
    this.#declarer.forget()
    return new QueueError('PUBLISH_REJECTED', `${message.id}: there is no queue ${route.key}`)
  }
}

function routeOf({ to, notBefore }: OutgoingMessage): Route {
  if ('topic' in to) return { exchange: eventsExchange, key: to.topic, mandatory: false }
  if (notBefore === undefined) return { exchange: '', key: to.queue, mandatory: true }
  return { exchange: delayName(delayStep(notBefore - Date.now())), key: to.queue, mandatory: true }
}
