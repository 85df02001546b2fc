import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib'
import { channel as diagnostics } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { QueueError } from '../errors.ts'
import type { Consumer, Outcome, QueueSpec, Receive } from '../transport.ts'
import { coalesce } from './coalesce.ts'
import type { Declarer } from './declarer.ts'
import { whileOpen, within } from './failure.ts'
import { endChannel } from './end-channel.ts'
import type { Link } from './link.ts'
import { jitteredPause } from './pause.ts'
import type { Publisher } from './publisher.ts'
import { messageOf } from './wire.ts'

const problems = diagnostics('countersign.queue-adapter.consumer')

const moveTimeoutMs = 10_000
const declareTimeoutMs = 30_000
const closeTimeoutMs = 2000
/** A queue without a leader answers nobody. */
const subscribeTimeoutMs = 15_000
const renewIdleEveryMs = 60_000
/** What comes back is not handed out again at once: it would reach its delivery limit in no time. */
const pauseBeforeReturnMs = 250

interface Session {
  readonly connection: ChannelModel
  readonly channel: Channel
  tag: string
  open: boolean
  /** Whether it had nothing to do since it was last looked at. */
  idle: boolean
  running: number
}

export interface ConsumerParts {
  readonly link: Link
  readonly declarer: Declarer
  readonly publisher: Publisher
}

/** One subscription that is renewed whenever its channel, its connection or its queue goes away. */
export class RabbitConsumer implements Consumer {
  #session: Session | undefined
  readonly #cancelled = new AbortController()
  #subscribing: Promise<unknown> = Promise.resolve()
  readonly #running: Promise<void>
  readonly #parts: ConsumerParts
  readonly #spec: QueueSpec
  readonly #receive: Receive
  readonly #concurrency: number

  constructor(parts: ConsumerParts, spec: QueueSpec, receive: Receive, concurrency: number) {
    this.#parts = parts
    this.#spec = spec
    this.#receive = receive
    this.#concurrency = concurrency
    this.#running = this.#run()
  }

  async cancel(): Promise<void> {
    if (this.#cancelled.signal.aborted) return
    this.#cancelled.abort()
    // A subscription that is just being made has deliveries already, and their answers are not to be cut off.
    await within(this.#subscribing, closeTimeoutMs, notAnswered).catch(() => undefined)
    const session = this.#session
    if (!session?.open) return
    // After the broker's answer no delivery comes; a dead channel delivers nothing either.
    await within(session.channel.cancel(session.tag), closeTimeoutMs, notAnswered).catch(() => undefined)
  }

  async close(): Promise<void> {
    await this.cancel()
    // The handlers that have just ended answer within this turn.
    await new Promise(resolve => setImmediate(resolve))
    const session = this.#session
    // What was answered is sent before the channel's end, and what was not goes back to the queue by it.
    if (session?.open) {
      await within(endChannel(session.channel, this.#spec.name), closeTimeoutMs, notAnswered).catch(() => undefined)
    }
    await within(this.#running, closeTimeoutMs, notAnswered).catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { signal } = this.#cancelled
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const subscribing = this.#subscribe()
        this.#subscribing = subscribing
        const lost = await subscribing
        attempt = 0
        await lost.promise
        this.#parts.declarer.forgetQueue(this.#spec.name)
      } catch (error) {
        this.#report(error)
      }
      await jitteredPause(attempt, signal)
    }
  }

  /** Starts a session; the promise within resolves when it has ended. */
  async #subscribe(): Promise<{ promise: Promise<void> }> {
    const { link, declarer } = this.#parts
    await declarer.queue(this.#spec.name, declareTimeoutMs)
    const connection = await link.connection(declareTimeoutMs)
    const channel = await whileOpen(connection, connection.createChannel())
    const session: Session = { connection, channel, tag: '', open: true, idle: true, running: 0 }
    const ended = new Promise<void>(resolve => {
      channel.on('error', error => {
        session.open = false
        this.#report(error)
      })
      channel.on('close', () => {
        session.open = false
        resolve()
      })
    })
    const onDelivery = (delivery: ConsumeMessage | null): void => {
      if (delivery) {
        this.#handle(session, delivery).catch((error: unknown) => {
          this.#report(error)
        })
      }
      // The broker ended the subscription (its queue was deleted): start over.
      else if (session.open) channel.close().catch(() => undefined)
    }
    const subscribing = async (): Promise<string> => {
      await channel.prefetch(this.#concurrency)
      return (await channel.consume(this.#spec.name, onDelivery)).consumerTag
    }
    try {
      session.tag = await within(whileOpen(connection, subscribing()), subscribeTimeoutMs, notAnswered)
    } catch (error) {
      if (session.open) channel.close().catch(() => undefined)
      throw error
    }
    this.#session = session
    this.#renewWhenForgotten(session)
    return { promise: ended }
  }

  /**
   * RabbitMQ 3.10 does not always tell a consumer that its quorum queue was deleted, and delivers the messages of a new one
   * by that name to nowhere. So a session ends when its queue had to be made again, and after every minute without work.
   */
  #renewWhenForgotten(session: Session): void {
    const renew = (): void => {
      if (session.open && !this.#cancelled.signal.aborted) session.channel.close().catch(() => undefined)
    }
    const timer = setInterval(() => {
      if (session.idle && session.running === 0) renew()
      session.idle = true
    }, renewIdleEveryMs)
    timer.unref()
    const stopListening = this.#parts.declarer.onRemade(queue => {
      if (queue === this.#spec.name) renew()
    })
    session.channel.on('close', () => {
      clearInterval(timer)
      stopListening()
    })
  }

  /** Never rejects: nothing may escape into amqplib, which would close the channel or leave the message for ever. */
  async #handle(session: Session, delivery: ConsumeMessage): Promise<void> {
    session.running += 1
    session.idle = false
    const outcome = await this.#decide(delivery)
    session.running -= 1
    // The channel it came on is gone, so the broker has given it out again: that delivery counts, not this one.
    if (!session.open) return
    const done = outcome.kind === 'done' || (outcome.kind === 'move' && (await this.#move(outcome)))
    if (!done) {
      await sleep(pauseBeforeReturnMs)
      // A subscription that ends leaves its deliveries without an answer: they go back by the end of its channel.
      if (this.#cancelled.signal.aborted) return
    }
    this.#settle(session, channel => {
      if (done) channel.ack(delivery)
      // Not nack: from RabbitMQ 4.3 on only a reject counts towards the delivery limit.
      else channel.reject(delivery, true)
    })
  }

  async #decide(delivery: ConsumeMessage): Promise<Outcome> {
    try {
      const { notBefore, ...message } = messageOf(delivery)
      // One step of a longer delay is over; the next follows without the handler.
      if (notBefore > Date.now()) {
        return { kind: 'move', message: { ...message, to: { queue: this.#spec.name }, notBefore } }
      }
      return await this.#receive(message)
    } catch (error) {
      this.#report(error)
      return { kind: 'release' }
    }
  }

  async #move({ message }: Outcome & { kind: 'move' }): Promise<boolean> {
    try {
      await this.#parts.publisher.publish(message, moveTimeoutMs)
      return true
    } catch (error) {
      this.#report(error)
      return false
    }
  }

  #report(error: unknown): void {
    if (problems.hasSubscribers) problems.publish({ queue: this.#spec.name, error })
  }

  #settle(session: Session, answer: (channel: Channel) => void): void {
    if (!session.open) return
    try {
      coalesce(session.connection)
      answer(session.channel)
    } catch {
      // The channel is closing: its unanswered deliveries go back by that.
      session.open = false
    }
  }
}

function notAnswered(): QueueError {
  return new QueueError('BROKER_UNAVAILABLE', 'the broker did not answer in time')
}
