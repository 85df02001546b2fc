import { Client, Server } from 'memjs'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { freePort } from '../../../../test/support/service.ts'
import { createCaches } from '../../src/index.ts'
import { parseAddress } from '../../src/memcached/address.ts'
import { Connection } from '../../src/memcached/connection.ts'
import { memcachedStore, type MemcachedStore } from '../../src/memcached/index.ts'
import { getRequest } from '../../src/memcached/request.ts'
import { startFaultProxy, type FaultProxy } from '../fault-proxy.ts'

/** What a scenario does to a client. Bare memjs and ours are driven through the same calls. */
interface Subject {
  get(key: string): Promise<Buffer | undefined>
  set(key: string, value: string | Buffer, seconds: number): Promise<unknown>
  add(key: string, value: string): Promise<boolean>
  /** Adds to a counter and resolves to its new value. */
  count(key: string, by: number): Promise<number>
  prepend(key: string, value: string): Promise<unknown>
  close(): void
}

interface Scene {
  readonly subject: Subject
  /** The proxy that the subject talks through. */
  readonly proxy: FaultProxy
  /** Talks to the same server directly. */
  readonly direct: MemcachedStore
  readonly key: string
}

const timeoutMs = 250

function ours(server: string): Subject {
  const store = memcachedStore({ servers: [server], timeoutMs })
  const update = async (key: string, change: (old: string) => string): Promise<string> => {
    const [entry] = await store.get([key])
    if (!entry || entry instanceof Error) throw entry ?? new Error('gone')
    const next = change(Buffer.from(entry.value).toString())
    const result = await store.set(key, Buffer.from(next), { ttlMs: 60_000, ifUnchanged: entry.cas })
    if (!result.stored) throw new Error(result.because)
    return next
  }
  return {
    async get(key) {
      const [entry] = await store.get([key])
      if (entry instanceof Error) throw entry
      return entry && Buffer.from(entry.value)
    },
    set: (key, value, seconds) => store.set(key, Buffer.from(value), { ttlMs: seconds * 1000 }),
    add: async (key, value) => (await store.add(key, Buffer.from(value), { ttlMs: 60_000 })) !== undefined,
    count: async (key, by) => Number(await update(key, old => String(Number(old) + by))),
    prepend: (key, value) => update(key, old => value + old),
    close: () => {
      store.close().catch(() => undefined)
    },
  }
}

function bare(server: string): Subject {
  const logger = { log: () => undefined }
  const client = Client.create(server, { timeout: timeoutMs / 1000, logger })
  return {
    get: async key => (await client.get(key)).value ?? undefined,
    set: (key, value, seconds) => client.set(key, value, { expires: seconds }),
    add: (key, value) => client.add(key, value, { expires: 60 }),
    count: async (key, by) =>
      (by < 0 ? await client.decrement(key, -by) : await client.increment(key, by, {})).value ?? NaN,
    prepend: (key, value) => client.prepend(key, value),
    close: () => {
      client.close()
    },
  }
}

/** Fails if the promise does not settle in time; how it settles does not matter. */
async function settles(promise: Promise<unknown>, withinMs: number): Promise<void> {
  const settled = promise.then(
    () => true,
    () => true,
  )
  expect(await Promise.race([settled, sleep(withinMs, false)]), `settled within ${withinMs} ms`).toBe(true)
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  await settles(promise, ms)
  return promise
}

const scenarios: Record<string, (scene: Scene) => Promise<void>> = {
  'D1: a connection reset in mid-answer never yields other bytes': async ({ subject, proxy, direct, key }) => {
    const value = randomBytes(300_000)
    await direct.set(key, value, { ttlMs: 60_000 })
    await subject.get('warm-up')
    proxy.cutAfter(3000, 'rst')
    const got = await subject.get(key).catch(() => value)
    expect(got?.equals(value)).toBe(true)
  },
  'D1: an answer that stalls in the middle never yields other bytes': async ({ subject, proxy, direct, key }) => {
    const value = randomBytes(300_000)
    await direct.set(key, value, { ttlMs: 60_000 })
    await subject.get('warm-up')
    proxy.cutAfter(3000, 'stall')
    setTimeout(() => {
      proxy.heal()
    }, timeoutMs + 50)
    const got = await subject.get(key).catch(() => value)
    expect(got?.equals(value)).toBe(true)
  },
  'D2: after an answer that was cut the client goes on working': async ({ subject, proxy, direct, key }) => {
    await direct.set(key, randomBytes(300_000), { ttlMs: 60_000 })
    await direct.set(`${key}2`, Buffer.from('small'), { ttlMs: 60_000 })
    await subject.get('warm-up')
    proxy.cutAfter(3000, 'fin')
    await Promise.race([subject.get(key).catch(() => undefined), sleep(1500)])
    proxy.heal()
    await Promise.race([subject.get(`${key}2`).catch(() => undefined), sleep(1500)])
    expect((await within(1000, subject.get(`${key}2`)))?.toString()).toBe('small')
  },
  'D3: calls settle by their deadline while others keep coming to a stalled server': async ({ subject, proxy }) => {
    await subject.get('warm-up')
    proxy.stall()
    const waited: number[] = []
    for (let call = 0; call < 50; call += 1) {
      const start = performance.now()
      const settled = (): void => void waited.push(performance.now() - start)
      subject.get('a').then(settled, settled)
      await sleep(20)
    }
    await sleep(timeoutMs + 200)
    expect(waited).toHaveLength(50)
    expect(Math.max(...waited)).toBeLessThan(timeoutMs + 200)
  },
  'D3: an answer that drips does not stretch the deadline': async ({ subject, proxy, direct, key }) => {
    await direct.set(key, randomBytes(10_000), { ttlMs: 60_000 })
    await subject.get('warm-up')
    proxy.drip(10, 20)
    await settles(subject.get(key), timeoutMs + 200)
  },
  'D4: a call in flight fails when the server closes the connection': async ({ subject, proxy }) => {
    await subject.get('warm-up')
    proxy.stall()
    const call = subject.get('a')
    await sleep(50)
    proxy.cut('fin')
    await settles(call, 1500)
  },
  'D5: a key that memcached does not take is refused and harms no other call': async ({ subject, direct, key }) => {
    await direct.set(key, Buffer.from('1'), { ttlMs: 60_000 })
    for (const bad of ['x'.repeat(251), '']) {
      const set = subject.set(bad, '1', 60)
      const other = subject.get(key)
      await settles(set, 1500)
      expect((await within(1500, other))?.toString()).toBe('1')
    }
  },
  'D7: prepending puts the text in front': async ({ subject, direct, key }) => {
    await direct.set(key, Buffer.from('b'), { ttlMs: 60_000 })
    await subject.prepend(key, 'a')
    expect((await subject.get(key))?.toString()).toBe('ab')
  },
  'D8: a counter beyond 32 bits is right': async ({ subject, direct, key }) => {
    await direct.set(key, Buffer.from(String(2 ** 32)), { ttlMs: 60_000 })
    expect(await subject.count(key, 6)).toBe(2 ** 32 + 6)
  },
  'D9: a counter can be decreased': async ({ subject, direct, key }) => {
    await direct.set(key, Buffer.from('5'), { ttlMs: 60_000 })
    expect(await subject.count(key, -1)).toBe(4)
  },
  'D10: half a second is not for ever': async ({ subject, direct, key }) => {
    await subject.set(key, '1', 0.5)
    await sleep(2100)
    expect(await direct.get([key])).toEqual([undefined])
  },
  'D10: 31 days are not over at once': async ({ subject, key }) => {
    await subject.set(key, '1', 31 * 24 * 3600)
    expect((await subject.get(key))?.toString()).toBe('1')
  },
  'D12: the caller whose reply was lost is not told that it lost': async ({ subject, proxy, key }) => {
    await subject.get('warm-up')
    proxy.cutAfter(0, 'rst')
    expect(await subject.add(key, 'mine').catch(() => true)).toBe(true)
  },
  'D13: a value too large leaves the old one alone': async ({ subject, direct, key }) => {
    await direct.set(key, Buffer.from('old'), { ttlMs: 60_000 })
    await expect(subject.set(key, Buffer.alloc(1_100_000), 60)).rejects.toThrow()
    expect((await subject.get(key))?.toString()).toBe('old')
  },
}

describe('what memjs gets wrong', () => {
  let proxy: FaultProxy
  let direct: MemcachedStore

  beforeEach(async () => {
    proxy = await startFaultProxy(inject('memcachedServer'))
    direct = memcachedStore({ servers: [inject('memcachedServer')], timeoutMs: 5000 })
  })
  afterEach(async () => {
    await proxy.close()
    await direct.close()
  })

  async function play(scenario: (scene: Scene) => Promise<void>, make: (server: string) => Subject): Promise<void> {
    const subject = make(proxy.server)
    try {
      await scenario({ subject, proxy, direct, key: `defect:${randomBytes(9).toString('hex')}` })
    } finally {
      subject.close()
    }
  }

  describe.each(Object.entries(scenarios))('%s', (_title, scenario) => {
    test('holds here', async () => {
      await play(scenario, ours)
    })
    test('does not hold with bare memjs', async () => {
      await expect(play(scenario, bare)).rejects.toThrow()
    })
  })

  test('D6: the request after number 2 147 483 647 works; with bare memjs it fails', async () => {
    class Old extends Connection {
      protected override lastOpaque = 2 ** 31 - 2
    }
    const connection = new Old(parseAddress(proxy.server), { timeoutMs, onFailure: () => undefined })
    for (let request = 0; request < 4; request += 1) {
      await new Promise<void>((resolve, reject) => {
        const reply = (): boolean => {
          resolve()
          return true
        }
        connection.request(opaque => getRequest(['a'], opaque), { reply, fail: reject })
      })
    }
    connection.error(new Error('over'))

    const client = Client.create(proxy.server, { logger: { log: () => undefined } })
    Object.assign(client, { seq: 2 ** 31 - 1 })
    await expect(client.get('a')).rejects.toThrow(RangeError)
    client.close()
  })

  test('D11: bytes that cannot be read are a miss; with bare memjs they end the process', async () => {
    const uncaught = vi.fn()
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', uncaught)
    const serializer = {
      serialize: (_opcode: number, value: string | Buffer, extras: Buffer) => ({ value, extras }),
      deserialize: () => {
        throw new Error('unreadable')
      },
    }
    await direct.set('defect:d11', Buffer.from('{'), { ttlMs: 60_000 })
    const client = Client.create(proxy.server, {
      timeout: 0.1,
      retries: 1,
      serializer,
      logger: { log: () => undefined },
    })
    try {
      const caches = createCaches({ store: direct, prefix: 'defect', schemaVersion: 1 })
      const cache = caches.namespace<string>('d11')
      for (const bytes of ['', '{', '\xc1\xc1\xc1', 'x'.repeat(5000)]) {
        await direct.set('defect:1:d11:k:a', Buffer.from(bytes), { ttlMs: 60_000 })
        expect(await cache.get('a')).toBeUndefined()
        expect(await cache.getOrLoad('a', () => 'loaded')).toBe('loaded')
        expect(await cache.get('a')).toBe('loaded')
      }
      expect(uncaught).not.toHaveBeenCalled()

      await expect(client.get('defect:d11')).rejects.toThrow()
      expect(uncaught).toHaveBeenCalled()
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
      client.close()
    }
  })

  test('D14: a dead server costs nothing once it is known to be dead, and nothing is written to the console', async () => {
    const log = vi.spyOn(console, 'log').mockReturnValue()
    const dead = `127.0.0.1:${await freePort()}`
    const timeOf = async (subject: Subject): Promise<number> => {
      const start = performance.now()
      await subject.get('a').catch(() => undefined)
      return performance.now() - start
    }
    const mine = ours(dead)
    for (let call = 0; call < 5; call += 1) expect(await timeOf(mine)).toBeLessThan(100)
    for (let call = 0; call < 5; call += 1) expect(await timeOf(mine)).toBeLessThan(20)
    mine.close()
    expect(log).not.toHaveBeenCalled()

    const client = Client.create(dead)
    const start = performance.now()
    await expect(client.get('a')).rejects.toThrow()
    expect(performance.now() - start).toBeGreaterThan(150)
    expect(log).toHaveBeenCalled()
    client.close()
    log.mockRestore()
  })

  test('D14: a closed store stays closed; bare memjs connects again', async () => {
    const store = memcachedStore({ servers: [proxy.server] })
    await store.get(['a'])
    await store.close()
    await expect(store.get(['a'])).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
    const client = Client.create(proxy.server, { logger: { log: () => undefined } })
    await client.get('a')
    const before = proxy.accepted
    client.close()
    await vi.waitUntil(() => Reflect.get(client.servers[0] ?? {}, '_socket') === undefined)
    await client.get('a')
    expect(proxy.accepted).toBe(before + 1)
    client.close()
  })

  test('memjs is built as the hardening expects', () => {
    for (const name of ['sock', 'write', 'error', 'respond', 'onResponse', 'onError', 'responseHandler'] as const) {
      expect(Reflect.get(Server.prototype, name), name).toBeTypeOf('function')
    }
  })
})
