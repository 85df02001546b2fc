import type { Channel, ChannelModel } from 'amqplib'
import { QueueError, TopologyMismatchError } from '../errors.ts'
import type { QueueSpec } from '../transport.ts'
import { whileOpen, within } from './failure.ts'
import type { Link } from './link.ts'
import {
  delayDeclaration,
  delayName,
  delaySteps,
  eventsExchange,
  queueDeclaration,
  type QueueDeclaration,
} from './topology.ts'

/** Queues that are declared together, all or none. */
interface Group {
  readonly specs: readonly QueueSpec[]
  readonly key: string
}

/** Makes exchanges and queues, once per connection, and never a part of them beside one that does not fit. */
export class Declarer {
  readonly #link: Link
  readonly #groups = new Map<string, Group>()
  #connection: ChannelModel | undefined
  #made = new Map<string, Promise<void>>()
  readonly #ready = new Set<string>()
  readonly #known = new Set<string>()
  readonly #remade = new Set<(queue: string) => void>()

  constructor(link: Link) {
    this.#link = link
  }

  /** Makes these queues, all or none, and remembers them for every later connection. */
  async declare(specs: readonly QueueSpec[], timeoutMs: number): Promise<void> {
    const group = { specs, key: specs.map(spec => spec.name).join(' ') }
    for (const { name } of specs) this.#groups.set(name, group)
    await this.#once(group.key, timeoutMs, connection => this.#makeQueues(connection, specs))
  }

  /** Makes this queue, with those it was declared with, when it is one of ours. Undefined: it is made already. */
  queue(name: string, timeoutMs: number): Promise<void> | undefined {
    const group = this.#groups.get(name)
    if (!group) return undefined
    return this.#unlessMade(group.key, timeoutMs, connection => this.#makeQueues(connection, group.specs))
  }

  /** Tells when a queue that was there before had to be made again. */
  onRemade(listener: (queue: string) => void): () => void {
    this.#remade.add(listener)
    return () => this.#remade.delete(listener)
  }

  delays(timeoutMs: number): Promise<void> | undefined {
    return this.#unlessMade(' delays', timeoutMs, makeDelays)
  }

  events(timeoutMs: number): Promise<void> | undefined {
    return this.#unlessMade(' events', timeoutMs, connection => onChannel(connection, makeEvents))
  }

  /** Makes this queue again when it is next needed, if it is not there. */
  forgetQueue(name: string): void {
    const group = this.#groups.get(name)
    if (!group) return
    this.#made.delete(group.key)
    this.#ready.delete(group.key)
  }

  /** The same for everything: something was deleted behind our back. */
  forget(): void {
    this.#made = new Map()
    this.#ready.clear()
  }

  async #makeQueues(connection: ChannelModel, specs: readonly QueueSpec[]): Promise<void> {
    const missing = await makeQueues(connection, specs)
    for (const queue of missing) {
      if (this.#known.has(queue)) for (const listener of this.#remade) listener(queue)
    }
    for (const { name } of specs) this.#known.add(name)
  }

  #unlessMade(
    key: string,
    timeoutMs: number,
    make: (connection: ChannelModel) => Promise<void>,
  ): Promise<void> | undefined {
    if (this.#connection && this.#link.isCurrent(this.#connection) && this.#ready.has(key)) return undefined
    return this.#once(key, timeoutMs, make)
  }

  async #once(key: string, timeoutMs: number, make: (connection: ChannelModel) => Promise<void>): Promise<void> {
    const deadline = performance.now() + timeoutMs
    const connection = await this.#link.connection(timeoutMs)
    if (this.#connection !== connection) {
      this.#connection = connection
      this.forget()
    }
    const made = this.#made
    let making = made.get(key)
    if (!making) {
      making = whileOpen(connection, make(connection))
      made.set(key, making)
      making.then(
        () => made === this.#made && this.#ready.add(key),
        () => made.delete(key),
      )
    }
    const late = (): QueueError =>
      new QueueError('BROKER_UNAVAILABLE', `the broker did not declare the queues within ${Math.round(timeoutMs)} ms`)
    await within(making, Math.max(1, deadline - performance.now()), late)
  }
}

/** Says which queues were missing. */
async function makeQueues(connection: ChannelModel, specs: readonly QueueSpec[]): Promise<string[]> {
  const declarations = specs.map(queueDeclaration)
  const missing = await check(connection, declarations)
  await onChannel(connection, async channel => {
    for (const { name, options } of missing) await channel.assertQueue(name, options)
    const bound = specs.filter(spec => spec.topic !== undefined)
    if (bound.length > 0) await makeEvents(channel)
    for (const { name, topic = '' } of bound) await channel.bindQueue(name, eventsExchange, topic)
  })
  return missing.map(({ name }) => name)
}

async function makeDelays(connection: ChannelModel): Promise<void> {
  await check(connection, delaySteps.map(delayDeclaration))
  await onChannel(connection, async channel => {
    for (const step of delaySteps) {
      const name = delayName(step)
      await channel.assertExchange(name, 'fanout', { durable: true })
      await channel.assertQueue(name, delayDeclaration(step).options)
      await channel.bindQueue(name, name, '')
    }
  })
}

async function makeEvents(channel: Channel): Promise<void> {
  await channel.assertExchange(eventsExchange, 'topic', { durable: true })
}

/** Holds what exists against what is wanted, before anything is made, and gives what is missing. */
async function check(connection: ChannelModel, declarations: readonly QueueDeclaration[]): Promise<QueueDeclaration[]> {
  const missing: QueueDeclaration[] = []
  const left = [...declarations]
  while (left.length > 0) {
    // A missing queue costs the channel; the next one gets another.
    await onChannel(connection, async channel => {
      for (let next = left.shift(); next; next = left.shift()) {
        const declaration = next
        await channel.checkQueue(declaration.name).catch((error: unknown) => {
          if (replyCode(error) === 404) missing.push(declaration)
          else throw error
        })
        if (missing.at(-1) === declaration) return
        await channel.assertQueue(declaration.name, declaration.options).catch((error: unknown) => {
          throw mismatch(declaration.name, error) ?? error
        })
      }
    })
  }
  return missing
}

export async function exists(
  connection: ChannelModel,
  queue: string,
): Promise<{ messageCount: number; consumerCount: number } | undefined> {
  return onChannel(connection, channel => channel.checkQueue(queue)).catch((error: unknown) => {
    if (replyCode(error) === 404) return undefined
    throw error
  })
}

/** Runs work on a channel of its own: a channel does not survive an error of the broker. */
export async function onChannel<T>(connection: ChannelModel, work: (channel: Channel) => Promise<T>): Promise<T> {
  const channel = await connection.createChannel()
  let open = true
  channel.on('error', () => {
    // The call that caused it rejects with the same error.
    open = false
  })
  channel.on('close', () => {
    open = false
  })
  try {
    return await work(channel)
  } finally {
    if (open) await channel.close()
  }
}

function mismatch(queue: string, error: unknown): TopologyMismatchError | undefined {
  if (replyCode(error) !== 406) return undefined
  const text = error instanceof Error ? error.message : ''
  const [, argument = 'an argument'] = /inequivalent arg '([^']+)'/.exec(text) ?? []
  const [, declared = 'another'] = /received (.+?) but current/.exec(text) ?? []
  const [, existing = 'something else'] = /but current is (.+?)"?$/.exec(text) ?? []
  return new TopologyMismatchError(
    { queue, argument, declared: plain(declared), existing: plain(existing) },
    { cause: error },
  )
}

/** RabbitMQ shows values as "the value 'quorum' of type 'longstr'". */
function plain(shown: string): string {
  return (/the value (.*?) of type/.exec(shown)?.[1] ?? shown).replaceAll("'", '')
}

function replyCode(error: unknown): number | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined
}
