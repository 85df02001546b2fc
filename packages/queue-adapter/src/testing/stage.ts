import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Message, OutgoingMessage } from '../message.ts'
import type { Outcome, QueueSpec, Receive, Transport } from '../transport.ts'

/** How long anything may take in these tests. */
export const timeoutMs = 10_000

/** One transport with a queue and a dead queue that no other test has. */
export class Stage {
  readonly transport: Transport
  readonly work: QueueSpec
  readonly dead: QueueSpec

  constructor(transport: Transport, name: string) {
    this.transport = transport
    this.dead = { name: `${name}.dead`, kind: 'dead' }
    this.work = { name, kind: 'work', deadQueue: this.dead.name }
  }

  static async open(transport: Transport): Promise<Stage> {
    const stage = new Stage(transport, `suite-${randomBytes(6).toString('hex')}`)
    await transport.ready({ timeoutMs })
    await transport.declare([stage.dead, stage.work], { timeoutMs })
    return stage
  }

  message(parts: Partial<OutgoingMessage>): OutgoingMessage {
    const to = { queue: this.work.name }
    return {
      id: randomBytes(8).toString('hex'),
      type: 'suite',
      body: Buffer.from('1'),
      headers: {},
      attempt: 1,
      to,
      ...parts,
    }
  }

  publish(parts: Partial<OutgoingMessage>): Promise<void> {
    return this.transport.publish(this.message(parts), { timeoutMs })
  }

  /** Consumes with these outcomes first, and `done` from then on; `take` gives one delivery after the other. */
  consume(
    outcomes: (Outcome | ((message: Message) => Outcome))[] = [],
    spec: QueueSpec = this.work,
  ): { take: () => Promise<Message> } {
    const arrived: Message[] = []
    const receive: Receive = async message => {
      arrived.push(message)
      const outcome = outcomes.shift() ?? { kind: 'done' }
      return typeof outcome === 'function' ? outcome(message) : outcome
    }
    this.transport.consume(spec, receive, { concurrency: 1 })
    const take = async (): Promise<Message> => {
      await until(async () => arrived.length > 0)
      const message = arrived.shift()
      assert.ok(message)
      return message
    }
    return { take }
  }

  async waitForDead(count: number): Promise<Message[]> {
    let messages: Message[] = []
    await until(async () => {
      messages = []
      await this.transport.scan(this.dead.name, { limit: 100 }, async message => {
        messages.push(message)
        return { kind: 'keep' }
      })
      return messages.length === count
    })
    return messages
  }
}

export function countdown(count: number): { step: () => void; reached: Promise<void> } {
  let left = count
  let step: () => void = () => undefined
  const reached = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${left} of ${count} did not come in time`))
    }, timeoutMs)
    step = () => {
      left -= 1
      if (left > 0) return
      clearTimeout(timer)
      resolve()
    }
  })
  return { step, reached }
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it did not come true within ${timeoutMs} ms`)
    await turn(10)
  }
}

export async function turn(ms: number): Promise<void> {
  await new Promise<void>(resolve => setTimeout(resolve, ms))
}
