import { wholeNumber } from './errors.ts'
import type { Failure, MessageHeaders, OutgoingMessage } from './message.ts'
import type { QueueNames } from './names.ts'
import type { Outcome, Transport } from './transport.ts'

/** A task or topic event that will not be tried again by itself. */
export interface DeadLetter extends Failure {
  readonly id: string
  readonly name: string
  /** The payload as it was sent; the raw text when it is not JSON. */
  readonly input: unknown
  readonly headers: MessageHeaders
}

/** Which dead letters an operation is about. */
export interface DeadSelection {
  /** Only these. @defaultValue all of them */
  ids?: readonly string[] | undefined
}

/** The dead letters of one task, or of one group's subscription to an event. */
export interface DeadLetters {
  /** How many there are. */
  count(): Promise<number>
  /** Shows the oldest ones without taking them out; `limit` is 100 by default and 10,000 at most. */
  list(options?: { limit?: number | undefined }): Promise<DeadLetter[]>
  /** Puts them back to work with their attempts counted anew, each safe in its queue before it leaves this one. */
  redrive(options?: DeadSelection): Promise<{ redriven: number }>
  /** Removes them for good. */
  purge(options?: DeadSelection): Promise<{ purged: number }>
}

/** One pass looks at this many at most: they are held while it runs. */
const scanLimit = 10_000

export function deadLetters(transport: Transport, queues: QueueNames, ensure: () => Promise<void>): DeadLetters {
  const home = queues.work.length > 1 ? queues.work[1] : queues.work[0]

  const take = async ({ ids }: DeadSelection, becomes: (message: OutgoingMessage) => Outcome): Promise<number> => {
    await ensure()
    const wanted = ids && new Set(ids)
    let count = 0
    const startedAt = Date.now()
    const taken = new Set<string>()
    await transport.scan(queues.dead, { limit: scanLimit }, async message => {
      if (wanted && !wanted.has(message.id)) return { kind: 'keep' }
      // It was taken already, and has died again while this runs.
      if (taken.has(message.id) && (message.failure?.at ?? 0) >= startedAt) return { kind: 'keep' }
      taken.add(message.id)
      count += 1
      const known = queues.work.some(({ name }) => name === message.source)
      const queue = known && message.source !== undefined ? message.source : (home?.name ?? queues.dead)
      const { id, type, body, headers } = message
      return becomes({ id, type, body, headers, attempt: 1, to: { queue } })
    })
    return count
  }

  return {
    count: async () => {
      await ensure()
      return (await transport.depth(queues.dead))?.ready ?? 0
    },
    list: async ({ limit = 100 } = {}) => {
      wholeNumber('limit', limit, { min: 1, max: scanLimit })
      await ensure()
      const letters: DeadLetter[] = []
      await transport.scan(queues.dead, { limit }, async message => {
        const { id, type: name, headers, failure = unexplained(message.attempt) } = message
        letters.push({ id, name, input: payloadOf(message.body), headers, ...failure })
        return { kind: 'keep' }
      })
      return letters
    },
    redrive: async (options = {}) => ({ redriven: await take(options, message => ({ kind: 'move', message })) }),
    purge: async (options = {}) => ({ purged: await take(options, () => ({ kind: 'done' })) }),
  }
}

function payloadOf(body: Uint8Array): unknown {
  const text = Buffer.from(body).toString('utf8')
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** The broker moved it here itself: its workers died too often while they had it. */
function unexplained(attempts: number): Failure {
  return {
    reason: 'crash-loop',
    errorType: 'Error',
    errorMessage: 'its workers ended before they answered, again and again',
    stackDigest: '',
    attempts,
    at: 0,
  }
}
