import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { QueueSpec, Receive, Transport } from '../transport.ts'
import { Stage, countdown, timeoutMs, turn, until } from './stage.ts'

/** What the suite needs of a test runner and of the transport it holds to the contract. */
export interface TransportSuiteOptions {
  /** Registers one test, as `test` of vitest, node:test, mocha and jest do. */
  test: (name: string, run: () => Promise<void>) => void
  /** Opens a transport. Called twice with the same broker where the suite looks at what outlives a transport. */
  create: () => Transport | Promise<Transport>
}

/**
 * Registers the tests that every transport passes: what the memory and the RabbitMQ transport have in common.
 *
 * @param options - `test` registers a test with your runner; `create` opens a transport, and the suite closes it
 * @example
 * ```ts
 * import { test } from 'node:test'
 * import { memoryTransport } from '@countersign/queue-adapter/memory'
 * import { transportSuite } from '@countersign/queue-adapter/testing'
 *
 * transportSuite({
 *   test: (name, run) => {
 *     void test(name, run)
 *   },
 *   create: () => memoryTransport(),
 * })
 * ```
 */
export function transportSuite({ test, create }: TransportSuiteOptions): void {
  const scene = (name: string, play: (stage: Stage) => Promise<void>): void => {
    test(name, async () => {
      const transport = await create()
      try {
        await play(await Stage.open(transport))
      } finally {
        await transport.close()
      }
    })
  }

  scene('hands out a message as it was sent: id, type, headers, attempt and every byte', async stage => {
    const body = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', name: 'Zoë ✓' }
    await stage.publish({ id: 'one', body, headers, attempt: 3 })
    const { take } = stage.consume()
    const message = await take()
    assert.equal(message.id, 'one')
    assert.equal(message.type, 'suite')
    assert.equal(message.attempt, 3)
    assert.deepEqual(message.headers, headers)
    assert.deepEqual(Uint8Array.from(message.body), body)
  })

  scene('carries an empty body and one of 1 MiB', async stage => {
    const { take } = stage.consume()
    for (const size of [0, 1024 * 1024]) {
      const body = randomBytes(size)
      await stage.publish({ body })
      assert.ok(body.equals((await take()).body))
    }
  })

  scene('keeps the order of one publisher', async stage => {
    const ids = Array.from({ length: 50 }, (_, index) => `m${index}`)
    await Promise.all(ids.map(id => stage.publish({ id })))
    const { take } = stage.consume()
    const seen = []
    for (const _ of ids) seen.push((await take()).id)
    assert.deepEqual(seen, ids)
  })

  scene('rejects a message to a queue that does not exist', async stage => {
    const message = stage.message({ to: { queue: `${stage.work.name}.nowhere` } })
    await assert.rejects(stage.transport.publish(message, { timeoutMs }), { code: 'PUBLISH_REJECTED' })
  })

  scene('gives no more deliveries at a time than the concurrency allows', async stage => {
    let running = 0
    let most = 0
    const done = countdown(20)
    const receive: Receive = async () => {
      running += 1
      most = Math.max(most, running)
      await turn(5)
      running -= 1
      done.step()
      return { kind: 'done' }
    }
    const consumer = stage.transport.consume(stage.work, receive, { concurrency: 3 })
    await Promise.all(Array.from({ length: 20 }, () => stage.publish({})))
    await done.reached
    await consumer.close()
    assert.equal(most, 3)
  })

  scene('gives every message to exactly one of several consumers', async stage => {
    const seen: string[] = []
    const done = countdown(40)
    const receive: Receive = async ({ id }) => {
      seen.push(id)
      await turn(1)
      done.step()
      return { kind: 'done' }
    }
    const consumers = [1, 2].map(() => stage.transport.consume(stage.work, receive, { concurrency: 2 }))
    await Promise.all(Array.from({ length: 40 }, (_, index) => stage.publish({ id: `m${index}` })))
    await done.reached
    await Promise.all(consumers.map(consumer => consumer.close()))
    assert.equal(new Set(seen).size, 40)
    assert.equal(seen.length, 40)
  })

  scene('hands a released message out again', async stage => {
    await stage.publish({ id: 'again' })
    const { take } = stage.consume([{ kind: 'release' }])
    assert.equal((await take()).id, 'again')
    assert.equal((await take()).id, 'again')
  })

  scene('hands a message out again when its consumer throws', async stage => {
    await stage.publish({ id: 'thrown' })
    let calls = 0
    const done = countdown(2)
    const receive: Receive = async () => {
      calls += 1
      done.step()
      if (calls === 1) throw new Error('a consumer must not throw, and this one does')
      return { kind: 'done' }
    }
    const consumer = stage.transport.consume(stage.work, receive, { concurrency: 1 })
    await done.reached
    await consumer.close()
  })

  scene('moves a message to another queue with what the move says', async stage => {
    await stage.publish({ id: 'moved', headers: { who: 'Ada' } })
    const failure = {
      reason: 'failed' as const,
      errorType: 'TypeError',
      errorMessage: 'no luck',
      stackDigest: 'abc',
      attempts: 5,
      at: 1_700_000_000_000,
    }
    const { take } = stage.consume([
      message => ({
        kind: 'move',
        message: { ...message, attempt: 5, to: { queue: stage.dead.name }, source: stage.work.name, failure },
      }),
    ])
    await take()
    const [dead] = await stage.waitForDead(1)
    assert.equal(dead?.id, 'moved')
    assert.equal(dead?.source, stage.work.name)
    assert.deepEqual(dead?.failure, failure)
    assert.deepEqual(dead?.headers, { who: 'Ada' })
  })

  scene('does not hand a delayed message out early, and lets others pass it', async stage => {
    const { take } = stage.consume()
    const due = Date.now() + 1000
    await stage.publish({ id: 'late', notBefore: due })
    await stage.publish({ id: 'soon', notBefore: Date.now() + 250 })
    await stage.publish({ id: 'now' })
    assert.equal((await take()).id, 'now')
    assert.equal((await take()).id, 'soon')
    assert.equal((await take()).id, 'late')
    const lateBy = Date.now() - due
    assert.ok(lateBy >= 0 && lateBy < 2000, `it came ${lateBy} ms after it was due`)
  })

  scene('shows a queue without emptying it, and removes or moves what it is told to', async stage => {
    for (const id of ['keep', 'remove', 'move']) await stage.publish({ id, to: { queue: stage.dead.name } })
    await stage.waitForDead(3)
    const shown = await stage.transport.scan(stage.dead.name, { limit: 10 }, async message => {
      if (message.id === 'remove') return { kind: 'done' }
      if (message.id === 'keep') return { kind: 'keep' }
      return { kind: 'move', message: { ...message, to: { queue: stage.work.name } } }
    })
    assert.equal(shown, 3)
    assert.deepEqual(
      (await stage.waitForDead(1)).map(({ id }) => id),
      ['keep'],
    )
    assert.equal((await stage.consume().take()).id, 'move')
  })

  scene('counts what waits and who consumes', async stage => {
    await stage.publish({})
    await stage.publish({})
    await until(async () => (await stage.transport.depth(stage.work.name))?.ready === 2)
    assert.deepEqual(await stage.transport.depth(stage.work.name), { ready: 2, consumers: 0 })
    assert.equal(await stage.transport.depth(`${stage.work.name}.nowhere`), undefined)
  })

  scene('gives a topic message to every bound queue, and to nobody when there is none', async stage => {
    const topic = `${stage.work.name}.topic`
    await stage.publish({ id: 'nobody', to: { topic } })
    const specs = ['a', 'b'].map((name): QueueSpec => ({ name: `${stage.work.name}@${name}`, kind: 'work', topic }))
    await stage.transport.declare(specs, { timeoutMs })
    await stage.publish({ id: 'all', to: { topic } })
    for (const spec of specs) {
      const { take } = stage.consume([], spec)
      assert.equal((await take()).id, 'all')
    }
  })

  scene('delivers nothing after cancel, and gives back what was not answered', async stage => {
    const held: (() => void)[] = []
    const receive: Receive = () =>
      new Promise(resolve =>
        held.push(() => {
          resolve({ kind: 'release' })
        }),
      )
    const consumer = stage.transport.consume(stage.work, receive, { concurrency: 1 })
    await stage.publish({ id: 'first' })
    await stage.publish({ id: 'second' })
    await until(async () => held.length === 1)
    await consumer.cancel()
    held[0]?.()
    await consumer.close()
    assert.equal(held.length, 1)
    const { take } = stage.consume()
    const ids = [(await take()).id, (await take()).id].sort()
    assert.deepEqual(ids, ['first', 'second'])
  })

  scene('refuses everything once it is closed', async stage => {
    await stage.transport.close()
    assert.equal(stage.transport.state, 'closed')
    await assert.rejects(stage.publish({}), { code: 'QUEUE_CLOSED' })
    await assert.rejects(stage.transport.ready({ timeoutMs: 1000 }), { code: 'QUEUE_CLOSED' })
  })
}
