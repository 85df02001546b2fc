import { connect, type ChannelModel } from 'amqplib'
import { channel } from 'node:diagnostics_channel'
import { QueueError } from '../errors.ts'
import type { TransportState } from '../transport.ts'
import { connectionFailure, within } from './failure.ts'
import { jitteredPause } from './pause.ts'

const states = channel('countersign.queue-adapter.connection')

/** What is asked of TLS beside `amqps://`. */
export interface TlsOptions {
  ca?: string | Buffer | undefined
  cert?: string | Buffer | undefined
  key?: string | Buffer | undefined
}

export interface LinkOptions {
  readonly url: string
  /** The broker's name without credentials, for messages. */
  readonly broker: string
  readonly role: 'publish' | 'consume'
  readonly connectTimeoutMs: number
  readonly tls?: TlsOptions | undefined
}

/**
 * One connection that comes back by itself, with full jitter of up to 10 s. amqplib's own recovery is not used: it
 * dies with a connection that is lost while it is set up, and never gives channels back.
 */
export class Link {
  #state: TransportState = 'connecting'
  #connection: ChannelModel | undefined
  #failure: QueueError | undefined
  #started = false
  readonly #closing = new AbortController()
  readonly #listeners = new Set<(state: TransportState) => void>()
  readonly #options: LinkOptions

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get state(): TransportState {
    return this.#state
  }

  onState(listener: (state: TransportState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Gives the open connection that accepts publishing, waiting for it when there is none; rejects by the deadline. */
  async connection(timeoutMs: number): Promise<ChannelModel> {
    this.#start()
    const deadline = performance.now() + timeoutMs
    for (;;) {
      if (this.#state === 'closed') throw new QueueError('QUEUE_CLOSED', 'the queue is closed')
      if (this.#connection && this.#state === 'ready') return this.#connection
      if (this.#failure?.code === 'BROKER_REFUSED') throw this.#failure
      const left = deadline - performance.now()
      if (left <= 0) throw this.#unavailable()
      await this.#nextState(left)
    }
  }

  isCurrent(connection: ChannelModel): boolean {
    return this.#connection === connection
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const connection = this.#connection
    this.#connection = undefined
    this.#become('closed')
    this.#closing.abort()
    if (!connection) return
    // A frozen broker never answers, and then the socket is dropped.
    await within(connection.close(), 2000, () => this.#unavailable()).catch(() => undefined)
    dropSocket(connection)
  }

  #start(): void {
    if (this.#started) return
    this.#started = true
    this.#run().catch((error: unknown) => {
      this.#become('down', connectionFailure(this.#options.broker, error))
    })
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#closing.signal.aborted; attempt += 1) {
      try {
        const { connection, lost } = await this.#open()
        if (this.#closing.signal.aborted) return await connection.close()
        attempt = 0
        this.#connection = connection
        this.#become('ready')
        const cause = await lost
        this.#connection = undefined
        setTimeout(dropSocket, 1000, connection).unref()
        throw cause
      } catch (cause) {
        if (this.#closing.signal.aborted) return
        this.#become('down', connectionFailure(this.#options.broker, cause))
      }
      await jitteredPause(attempt, this.#closing.signal)
    }
  }

  async #open(): Promise<{ connection: ChannelModel; lost: Promise<unknown> }> {
    const { url, broker, connectTimeoutMs, tls, role } = this.#options
    const timedOut = (): QueueError =>
      new QueueError('BROKER_UNAVAILABLE', `${broker}: no answer within ${connectTimeoutMs} ms`)
    const connecting = connect(url, {
      ...tls,
      noDelay: true,
      timeout: connectTimeoutMs,
      clientProperties: { connection_name: `countersign ${role} ${process.pid}` },
    })
    const connection = await within(connecting, connectTimeoutMs, timedOut).catch((error: unknown) => {
      connecting.then(dropSocket, () => undefined)
      throw error
    })
    const lost = new Promise<unknown>(resolve => {
      // A stop of the broker emits `close` alone, and a crash both: either ends the connection, and the first cause counts.
      connection.on('error', resolve)
      connection.on('close', error => {
        resolve(error ?? new Error('the connection was closed'))
      })
    })
    connection.on('blocked', () => {
      if (this.#connection === connection) this.#become('blocked')
    })
    connection.on('unblocked', () => {
      if (this.#connection === connection) this.#become('ready')
    })
    return { connection, lost }
  }

  #become(state: TransportState, failure?: QueueError): void {
    if (this.#state === 'closed') return
    this.#state = state
    this.#failure = failure
    const { broker, role } = this.#options
    if (states.hasSubscribers) states.publish({ state, broker, role, error: failure })
    for (const listener of [...this.#listeners]) listener(state)
  }

  #unavailable(): QueueError {
    const { broker } = this.#options
    const why =
      this.#state === 'blocked' ? 'the broker blocks publishers (memory or disk alarm)' : 'no connection in time'
    return new QueueError('BROKER_UNAVAILABLE', this.#failure?.message ?? `${broker}: ${why}`, { cause: this.#failure })
  }

  async #nextState(timeoutMs: number): Promise<void> {
    await new Promise<void>(resolve => {
      const done = (): void => {
        clearTimeout(timer)
        stopListening()
        resolve()
      }
      const timer = setTimeout(done, Math.min(timeoutMs, 2 ** 31 - 1))
      const stopListening = this.onState(done)
    })
  }
}

/** amqplib only half-closes a socket, and the other half of a frozen broker's would stay for ever. */
function dropSocket(connection: ChannelModel): void {
  const { stream } = connection.connection as { stream?: { destroy?: () => void } }
  stream?.destroy?.()
}
