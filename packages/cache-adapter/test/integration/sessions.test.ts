import knex, { type Knex } from 'knex'
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createDatabase } from '../../../../test/support/postgres.ts'
import { createCaches, createSessions, type SessionStore } from '../../src/index.ts'
import { memorySessionStore, memoryStore } from '../../src/memory/index.ts'
import { migrations, postgresSessionStore } from '../../src/postgres/index.ts'

let database: Awaited<ReturnType<typeof createDatabase>>
let db: Knex

beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
  db = knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 5 } })
  await db.migrate.latest(migrations())
})

afterAll(async () => {
  await db.destroy()
  await database.drop()
})

const stores: [string, () => SessionStore][] = [
  ['memory', () => memorySessionStore()],
  ['PostgreSQL', () => postgresSessionStore({ knex: db })],
]

describe.each(stores)('sessions in %s', (_name, makeStore) => {
  function setUp(options: { idleMs?: number; absoluteMs?: number; touchEveryMs?: number } = {}) {
    let now = Date.now()
    const clock = { now: () => now }
    const store = makeStore()
    const calls = { find: 0, touch: 0 }
    const counting: SessionStore = {
      ...store,
      find: async (...args) => {
        calls.find += 1
        return store.find(...args)
      },
      touch: async (...args) => {
        calls.touch += 1
        return store.touch(...args)
      },
    }
    const caches = createCaches({ store: memoryStore({ now: clock.now }), prefix: 'app', schemaVersion: 1, clock })
    const sessions = createSessions({ store: counting, caches, clock, ...options })
    return { sessions, store, calls, advance: (ms: number) => (now += ms) }
  }
  const userId = () => `user-${Math.random()}`

  test('a new session is read by its id, with what was put into it', async () => {
    const { sessions } = setUp()
    const user = userId()
    const { id } = await sessions.create({ userId: user, data: { theme: 'dark', n: [1, null] } })
    expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(await sessions.read(id)).toMatchObject({ userId: user, data: { theme: 'dark', n: [1, null] } })
  })

  test('the id is stored nowhere, only its hash', async () => {
    const { sessions, store } = setUp()
    const { id, handle } = await sessions.create({ userId: userId() })
    expect(handle).not.toBe(id)
    expect(await store.find(id, Date.now())).toBeUndefined()
    expect(await store.find(handle, Date.now())).toMatchObject({ idHash: handle })
    expect(await sessions.read(handle)).toBeUndefined()
  })

  test('a read within the throttle asks the store once and writes nothing', async () => {
    const { sessions, calls } = setUp({ idleMs: 600_000, touchEveryMs: 60_000 })
    const { id } = await sessions.create({ userId: userId() })
    for (let read = 0; read < 20; read += 1) await sessions.read(id)
    expect(calls).toEqual({ find: 1, touch: 0 })
  })

  test('use moves the idle expiry, written once per throttle', async () => {
    const { sessions, calls, advance } = setUp({ idleMs: 600_000, touchEveryMs: 60_000 })
    const { id } = await sessions.create({ userId: userId() })
    for (let minute = 0; minute < 30; minute += 1) {
      advance(61_000)
      expect(await Promise.all([sessions.read(id), sessions.read(id)])).not.toContain(undefined)
    }
    expect(calls.touch).toBe(30)
  })

  test('a session ends when it is idle for too long', async () => {
    const { sessions, advance } = setUp({ idleMs: 600_000 })
    const { id } = await sessions.create({ userId: userId() })
    advance(599_000)
    expect(await sessions.read(id)).toBeDefined()
    advance(600_001)
    expect(await sessions.read(id)).toBeUndefined()
  })

  test('a session ends at its absolute expiry however much it is used', async () => {
    const { sessions, advance } = setUp({ idleMs: 600_000, absoluteMs: 3_600_000 })
    const { id } = await sessions.create({ userId: userId() })
    for (let used = 0; used < 3_600_000 - 300_000; used += 300_000) {
      advance(300_000)
      expect(await sessions.read(id)).toBeDefined()
    }
    advance(300_001)
    expect(await sessions.read(id)).toBeUndefined()
  })

  test('a session that ends while it is in the cache ends on time', async () => {
    const { sessions, calls, advance } = setUp({ idleMs: 10_000, absoluteMs: 13_000, touchEveryMs: 5000 })
    const idle = await sessions.create({ userId: userId() })
    const used = await sessions.create({ userId: userId() })
    for (const { id } of [idle, used]) await sessions.read(id)
    advance(9000)
    await sessions.read(used.id)
    await sessions.read(used.id)
    const { find } = calls
    advance(1000)
    expect(await sessions.read(idle.id)).toBeUndefined()
    expect(await sessions.read(used.id)).toBeDefined()
    advance(2999)
    expect(await sessions.read(used.id)).toBeDefined()
    advance(1)
    expect(await sessions.read(used.id)).toBeUndefined()
    expect(calls.find).toBe(find)
  })

  test('a rotated session has another id, and the old one is void at once', async () => {
    const { sessions } = setUp()
    const old = await sessions.create({ userId: userId(), data: { a: 1 } })
    await sessions.read(old.id)
    const rotated = await sessions.rotate(old.id)
    expect(await sessions.read(old.id)).toBeUndefined()
    expect(await sessions.read(rotated?.id ?? '')).toMatchObject({ data: { a: 1 }, createdAt: old.createdAt })
    expect(await sessions.rotate(old.id)).toBeUndefined()
  })

  test('a framework that makes ids itself may bring them, if they are as long as ours', async () => {
    const { sessions } = setUp()
    const [first, second] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
    expect(await sessions.create({ userId: userId(), id: first, data: { a: 1 } })).toMatchObject({ id: first })
    expect(await sessions.rotate(first, second)).toMatchObject({ id: second })
    expect(await sessions.read(first)).toBeUndefined()
    expect(await sessions.read(second)).toMatchObject({ data: { a: 1 } })
    const invalid = { code: 'INVALID_CACHE_INPUT' }
    await expect(sessions.create({ userId: userId(), id: randomUUID() })).rejects.toMatchObject(invalid)
    await expect(sessions.rotate(second, randomUUID())).rejects.toMatchObject(invalid)
    expect(await sessions.read(second)).toBeDefined()
  })

  test('a destroyed session is gone', async () => {
    const { sessions } = setUp()
    const { id } = await sessions.create({ userId: userId() })
    await sessions.read(id)
    expect(await sessions.destroy(id)).toBe(true)
    expect(await sessions.read(id)).toBeUndefined()
    expect(await sessions.destroy(id)).toBe(false)
  })

  test('new data is seen by the next read', async () => {
    const { sessions } = setUp()
    const { id } = await sessions.create({ userId: userId(), data: { a: 1 } })
    await sessions.read(id)
    expect(await sessions.update(id, { a: 2 })).toBe(true)
    expect(await sessions.read(id)).toMatchObject({ data: { a: 2 } })
  })

  test('all sessions of a user end, or all but one', async () => {
    const { sessions } = setUp()
    const user = userId()
    const other = await sessions.create({ userId: userId() })
    const own = await Promise.all([1, 2, 3].map(async () => sessions.create({ userId: user })))
    for (const { id } of own) await sessions.read(id)
    const kept = own[0]?.id ?? ''
    expect(await sessions.destroyAll(user, { exceptId: kept })).toBe(2)
    expect(await Promise.all(own.map(async ({ id }) => (await sessions.read(id)) !== undefined))).toEqual([
      true,
      false,
      false,
    ])
    expect(await sessions.destroyAll(user)).toBe(1)
    expect(await sessions.read(kept)).toBeUndefined()
    expect(await sessions.read(other.id)).toBeDefined()
  })

  test("a user's sessions are listed without their secrets, the last used first, and ended by handle", async () => {
    const { sessions, advance } = setUp()
    const user = userId()
    const first = await sessions.create({ userId: user })
    advance(1000)
    const second = await sessions.create({ userId: user })
    const list = await sessions.list(user)
    expect(list.map(session => session.handle)).toEqual([second.handle, first.handle])
    expect(JSON.stringify(list)).not.toContain(first.id)
    expect(await sessions.destroyHandle('somebody else', first.handle)).toBe(false)
    expect(await sessions.destroyHandle(user, first.handle)).toBe(true)
    expect(await sessions.read(first.id)).toBeUndefined()
    expect(await sessions.list(user)).toHaveLength(1)
  })

  test('expired sessions are swept in batches', async () => {
    const { sessions, advance } = setUp({ idleMs: 1000 })
    const user = userId()
    for (let made = 0; made < 3; made += 1) await sessions.create({ userId: user })
    advance(1001)
    const live = await sessions.create({ userId: user })
    expect(await sessions.deleteExpired(2)).toBe(2)
    expect(await sessions.deleteExpired(1000)).toBeGreaterThanOrEqual(1)
    expect(await sessions.deleteExpired(1000)).toBe(0)
    expect(await sessions.read(live.id)).toBeDefined()
  })

  test.each(['', 'x', 'a'.repeat(44), "' or 1=1 --", '\u0000'.repeat(43), 5, null, undefined])(
    'what is no id finds no session: %j',
    async id => {
      const { sessions, calls } = setUp()
      expect(await sessions.read(id as string)).toBeUndefined()
      expect(await sessions.destroy(id as string)).toBe(false)
      expect(await sessions.rotate(id as string)).toBeUndefined()
      expect(calls.find).toBe(0)
    },
  )

  test.each([{ data: { a: '\0' } }, { data: { ['\ud800']: 1 } }, { data: [] }, { data: { n: 1n } }, { userId: '' }])(
    'what the store could not keep is refused: case %#',
    async input => {
      const { sessions } = setUp()
      await expect(sessions.create({ userId: 'u', ...input } as never)).rejects.toMatchObject({
        code: 'INVALID_CACHE_INPUT',
      })
    },
  )

  test('a session destroyed while it is read does not come back from the cache', async () => {
    const { sessions } = setUp()
    for (let round = 0; round < 200; round += 1) {
      const { id } = await sessions.create({ userId: userId() })
      const reads = Array.from({ length: 5 }, async () => sessions.read(id))
      const destroyed = sessions.destroy(id)
      const more = Array.from({ length: 5 }, async () => sessions.read(id))
      await destroyed
      expect(await sessions.read(id)).toBeUndefined()
      await Promise.all([...reads, ...more])
      expect(await sessions.read(id)).toBeUndefined()
    }
  })
})
