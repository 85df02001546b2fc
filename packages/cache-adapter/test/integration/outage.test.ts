import knex, { type Knex } from 'knex'
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest'
import { startMemcached } from '../../../../test/support/memcached.ts'
import { createDatabase } from '../../../../test/support/postgres.ts'
import type { Service } from '../../../../test/support/service.ts'
import { createCaches, createSessions, type Caches } from '../../src/index.ts'
import { memcachedStore, type MemcachedStore } from '../../src/memcached/index.ts'
import { migrations, postgresSessionStore } from '../../src/postgres/index.ts'
import { startFaultProxy, type FaultProxy } from '../fault-proxy.ts'
import { checkAgainstMap } from '../cache-model.ts'
import { checkFreshness } from '../freshness.ts'
import { eventsOf } from '../support.ts'

const timeoutMs = 100
const breaker = { failures: 3, openMs: 100, maxOpenMs: 400 }

let server: Service
let proxy: FaultProxy
let opened: Caches[]

beforeEach(async () => {
  server = await startMemcached()
  proxy = await startFaultProxy(`127.0.0.1:${server.port}`)
  opened = []
})

afterEach(async () => {
  for (const caches of opened) await caches.close()
  await proxy.close()
  await server.kill()
})

function connect(servers: string[] = [`127.0.0.1:${server.port}`]): { caches: Caches; store: MemcachedStore } {
  const store = memcachedStore({ servers, timeoutMs, breaker })
  const caches = createCaches({ store, prefix: 'app', schemaVersion: 1 })
  opened.push(caches)
  return { caches, store }
}

async function took(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}

describe('when a server fails', () => {
  test('every call still gets its value, within the deadline, and at once when the breaker is open', async () => {
    const { caches, store } = connect()
    const cache = caches.namespace<number>('n')
    await cache.set('k', 1)
    server.pause()
    // The signal takes effect a moment later: the first failure shows that it has.
    await vi.waitUntil(async () => (await store.get(['probe']))[0] instanceof Error)
    const slow: number[] = []
    const events = await eventsOf('breaker', async () => {
      while (store.servers()[0]?.breaker === 'closed') {
        slow.push(await took(async () => expect(await cache.getOrLoad('k', () => 2)).toBe(2)))
      }
    })
    expect(slow).toHaveLength(breaker.failures - 1)
    expect(Math.max(...slow)).toBeLessThan(timeoutMs + 200)
    expect(events).toEqual([{ server: `127.0.0.1:${server.port}`, state: 'open' }])
    expect(await took(async () => cache.getOrLoad('k', () => 2))).toBeLessThan(timeoutMs / 2)
    server.resume()
    await vi.waitUntil(async () => (await cache.get('k')) === 1, { timeout: 5000 })
    expect(store.servers()[0]?.breaker).toBe('closed')
  })

  test('while it is down one probe at a time is sent, less and less often', async () => {
    const { caches } = connect([proxy.server])
    const cache = caches.namespace<number>('n')
    await cache.get('k')
    server.pause()
    const before = proxy.accepted
    const states = await eventsOf('breaker', async () => {
      const end = performance.now() + 1500
      await vi.waitUntil(
        async () => {
          await Promise.all(Array.from({ length: 20 }, async () => cache.get('k')))
          return performance.now() > end
        },
        { interval: 5, timeout: 5000 },
      )
    })
    const probes = states.filter(event => event.state === 'probing').length
    expect(probes).toBeGreaterThanOrEqual(2)
    expect(probes).toBeLessThanOrEqual(6)
    expect(proxy.accepted - before).toBeLessThanOrEqual(breaker.failures + probes)
    server.resume()
  })

  test('a server that was killed and started again is used again, and has forgotten everything', async () => {
    const { caches } = connect()
    const cache = caches.namespace<number>('n')
    await cache.set('k', 1)
    await server.kill()
    expect(await cache.getOrLoad('k', () => 2)).toBe(2)
    await cache.delete('k')
    server = await startMemcached({ port: server.port })
    expect(await cache.get('k')).toBeUndefined()
    await vi.waitUntil(
      async () => {
        await cache.set('k', 3)
        return (await cache.get('k')) === 3
      },
      { timeout: 5000 },
    )
  })

  test('one of several servers down costs only its own share of the keys', async () => {
    const second = await startMemcached()
    const { caches } = connect([`127.0.0.1:${server.port}`, `127.0.0.1:${second.port}`])
    // The namespace's version has a place of its own: find one on the server that stays.
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`)
    const keys = Array.from({ length: 200 }, (_, index) => String(index))
    for (const name of names) await Promise.all(keys.map(async key => caches.namespace<number>(name).set(key, 1)))
    await second.kill()
    const shares: number[] = []
    for (const name of names) shares.push((await caches.namespace<number>(name).getMany(keys)).size)
    const usable = shares.filter(share => share > 0)
    expect(usable.length).toBeGreaterThan(0)
    expect(usable.length).toBeLessThan(names.length)
    for (const share of usable) {
      expect(share).toBeGreaterThan(60)
      expect(share).toBeLessThan(140)
    }
  })

  test('a value that could not be deleted is not served by this process when the server is back, nor soon by others', async () => {
    const mine = connect([proxy.server]).caches.namespace<number>('n')
    const others = connect().caches.namespace<number>('n')
    await mine.set('k', 1)
    proxy.stall()
    await mine.delete('k')
    proxy.heal()
    expect(await mine.get('k')).toBeUndefined()
    expect(await mine.getOrLoad('k', () => 2)).toBe(2)
    await vi.waitUntil(async () => (await others.get('k')) === undefined, { timeout: 5000 })
  })

  test('a write that a frozen server carries out when it wakes is served to nobody who knows better', async () => {
    const mine = connect().caches.namespace<number>('n')
    const others = connect().caches.namespace<number>('n')
    await mine.set('k', 1)
    server.pause()
    await mine.set('k', 2)
    server.resume()
    await vi.waitUntil(
      async () => {
        expect(await mine.getOrLoad('k', () => 3)).toBe(3)
        return (await others.get('k')) === 3
      },
      { timeout: 8000 },
    )
  })

  const faults: [string, (proxy: FaultProxy) => void][] = [
    ['stalls', one => one.stall()],
    ['is cut by FIN in mid-answer', one => one.cutAfter(40, 'fin')],
    ['is reset in mid-answer', one => one.cutAfter(40, 'rst')],
    ['stalls in mid-answer', one => one.cutAfter(40, 'stall')],
    ['drips', one => one.drip(3, 20)],
    [
      'answers with changed bytes',
      one => one.corrupt(answer => Buffer.from(answer.map((byte, index) => (index % 7 === 6 ? byte ^ 1 : byte)))),
    ],
    ['answers with noise', one => one.corrupt(answer => randomBytes(answer.length))],
  ]
  test.each(faults)(
    'when the line %s no caller sees a wrong value, and all is well afterwards',
    async (_fault, hurt) => {
      const { caches } = connect([proxy.server])
      const cache = caches.namespace<string>('n')
      const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`)
      await Promise.all(keys.map(async key => cache.set(key, key.repeat(100))))
      hurt(proxy)
      for (let round = 0; round < 3; round += 1) {
        const values = await Promise.all(keys.map(async key => cache.getOrLoad(key, () => key.repeat(100))))
        expect(values).toEqual(keys.map(key => key.repeat(100)))
      }
      proxy.heal()
      await vi.waitUntil(
        async () =>
          (await cache.getMany(keys)).size === keys.length ||
          void (await Promise.all(keys.map(async key => cache.getOrLoad(key, () => key.repeat(100))))),
        { timeout: 5000, interval: 100 },
      )
      expect(await cache.get('key-3')).toBe('key-3'.repeat(100))
    },
  )
})

test('no process reads what was invalidated before, through Memcached', async () => {
  await checkFreshness(
    [1, 2, 3].map(() => connect().caches),
    150,
  )
})

test('whatever processes do one after the other, the cache in Memcached answers as a map would', async () => {
  const second = await startMemcached()
  const servers = [`127.0.0.1:${server.port}`, `127.0.0.1:${second.port}`]
  const processes = [1, 2, 3].map(() => memcachedStore({ servers, timeoutMs: 5000 }))
  await checkAgainstMap(
    processes.map(store => {
      const caches = createCaches({ store, prefix: 'app', schemaVersion: 1 })
      opened.push(caches)
      return caches.namespace<number | null>('n')
    }),
    60,
  )
  await second.stop()
})

describe('sessions through Memcached', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>
  let db: Knex

  beforeAll(async () => {
    database = await createDatabase(inject('postgresUrl'))
    db = knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 10 } })
    await db.migrate.latest(migrations())
  })
  afterAll(async () => {
    await db.destroy()
    await database.drop()
  })

  function sessionsOver(caches: Caches) {
    return createSessions({ store: postgresSessionStore({ knex: db }), caches })
  }

  test('with Memcached down everything works', async () => {
    const { caches } = connect()
    const sessions = sessionsOver(caches)
    const before = await sessions.create({ userId: 'u1', data: { n: 1 } })
    await sessions.read(before.id)
    await server.kill()
    expect(await sessions.read(before.id)).toMatchObject({ data: { n: 1 } })
    expect(await sessions.update(before.id, { n: 2 })).toBe(true)
    expect(await sessions.read(before.id)).toMatchObject({ data: { n: 2 } })
    const rotated = await sessions.rotate(before.id)
    expect(await sessions.read(before.id)).toBeUndefined()
    expect(await sessions.read(rotated?.id ?? '')).toBeDefined()
    const second = await sessions.create({ userId: 'u1' })
    expect(await sessions.list('u1')).toHaveLength(2)
    expect(await sessions.destroy(second.id)).toBe(true)
    expect(await sessions.read(second.id)).toBeUndefined()
    expect(await sessions.destroyAll('u1')).toBe(1)
    expect(await sessions.read(rotated?.id ?? '')).toBeUndefined()
  })

  test('a destroyed session never comes back, with readers in three processes', async () => {
    const processes = [1, 2, 3].map(() => sessionsOver(connect().caches))
    for (let round = 0; round < 60; round += 1) {
      const { id } = await processes[0]!.create({ userId: `racer-${round}` })
      let destroyed = false
      const readers = processes.flatMap(sessions =>
        Array.from({ length: 4 }, async () => {
          for (let read = 0; read < 6; read += 1) {
            const wasDestroyed = destroyed
            const session = await sessions.read(id)
            if (wasDestroyed) expect(session).toBeUndefined()
          }
        }),
      )
      const ending = round % 3
      if (ending === 0) await processes[1]!.destroy(id)
      else if (ending === 1) await processes[1]!.destroyAll(`racer-${round}`)
      else await processes[1]!.rotate(id)
      destroyed = true
      await Promise.all(readers)
      for (const sessions of processes) expect(await sessions.read(id)).toBeUndefined()
    }
  })
})
