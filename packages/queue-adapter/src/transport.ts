import type { Message, OutgoingMessage } from './message.ts'

/** `connecting` at first, `blocked` while the broker refuses publishing, `down` while it cannot be reached. */
export type TransportState = 'connecting' | 'ready' | 'blocked' | 'down' | 'closed'

/** A queue as the front needs it; the transport knows how its broker makes one. */
export interface QueueSpec {
  readonly name: string
  readonly kind: 'work' | 'dead'
  /** For `work`: where a message goes that keeps crashing its workers. */
  readonly deadQueue?: string | undefined
  /** Receives what is published to this topic. */
  readonly topic?: string | undefined
}

/** What becomes of a delivery: gone, given back to its queue, or moved (the move is safe before the original is gone). */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'release' }
  | { readonly kind: 'move'; readonly message: OutgoingMessage }

/** Takes one delivery and always settles with its outcome. */
export type Receive = (message: Message) => Promise<Outcome>

/** How one message is published; `timeoutMs` is in milliseconds. */
export interface PublishOptions {
  readonly timeoutMs: number
  /** A transport that is not durable calls it when the message was handled (`done`), and whenever it went dead. */
  readonly onSettled?: ((state: 'done' | 'dead') => void) | undefined
}

/** One subscription to a queue. */
export interface Consumer {
  /** Stops deliveries; resolves when no more will come. */
  cancel(): Promise<void>
  /** Ends it; deliveries without an outcome go back to the queue. */
  close(): Promise<void>
}

/** The port to a broker: bytes in, bytes out, no policy. */
export interface Transport {
  /** Whether a message outlives this process. */
  readonly durable: boolean
  readonly state: TransportState
  /** Calls the listener at each change of `state`; returns what ends that. */
  onState(listener: (state: TransportState) => void): () => void
  /** Resolves when messages can be published and rejects when that is refused or takes longer. */
  ready(options: { timeoutMs: number }): Promise<void>
  /** Makes the queues that do not exist yet, again after every reconnect. Another shape rejects, and makes nothing. */
  declare(queues: readonly QueueSpec[], options: { timeoutMs: number }): Promise<void>
  /** Resolves when the broker holds the message in its queue (to a topic: in the queue of every subscriber). */
  publish(message: OutgoingMessage, options: PublishOptions): Promise<void>
  /** At most `concurrency` deliveries are without an outcome; it resumes by itself after every reconnect. */
  consume(queue: QueueSpec, receive: Receive, options: { concurrency: number }): Consumer
  /** Shows up to `limit` messages to the visitor, oldest first; those it keeps stay in the queue. Returns how many it showed. */
  scan(
    queue: string,
    options: { limit: number },
    visit: (message: Message) => Promise<{ readonly kind: 'keep' } | Outcome>,
  ): Promise<number>
  /** How many messages wait, and how many consumers there are; `undefined` when there is no such queue. */
  depth(queue: string): Promise<{ readonly ready: number; readonly consumers: number } | undefined>
  /** Ends all subscriptions and connections; every later call rejects with `QUEUE_CLOSED`. */
  close(): Promise<void>
}
