import type { Knex } from 'knex'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createAuthorizer, type Authorizer } from '../../src/index.ts'
import { createRoleAdmin, objectionGrantStore, type RoleAdmin } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import type { Seen } from './authorizer.process.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { wireTo, type Wire } from './wire.ts'

const script = new URL('authorizer.process.ts', import.meta.url).pathname

let database: TestDatabase
let knex: Knex
let admin: RoleAdmin
let user: string
let wire: Wire

beforeAll(async () => {
  database = await migratedDatabase()
  knex = database.knex
  admin = createRoleAdmin({ knex, permissions })
  await admin.createRole({ name: 'viewer', permissions: ['document:read'] })
  wire = await wireTo(database.url)
})

afterAll(async () => {
  await wire.close()
  await database.close()
})

beforeEach(async () => {
  user = await insertUser(knex)
  await admin.assign(user, 'viewer')
})

const now = (): number => performance.timeOrigin + performance.now()

/** An application server, as seen from outside. */
class Server {
  readonly seen: Seen[] = []
  readonly process: ChildProcess

  constructor(options: { storeUrl: string; feedUrl: string; maxStalenessMs: number }) {
    this.process = fork(script, [options.storeUrl, options.feedUrl, user, String(options.maxStalenessMs)])
    this.process.on('message', message => this.seen.push(message as Seen))
  }

  /** Waits for the first answer after `since` that is this one, and returns when it was given. */
  async answers(allowed: boolean, since: number): Promise<number> {
    return eventually(() => {
      const found = this.seen.findLast(answer => answer.at >= since)
      expect(found?.allowed).toBe(allowed)
      return this.seen.find(answer => answer.at >= since && answer.allowed === allowed)?.at ?? NaN
    })
  }

  async is(state: string): Promise<void> {
    await eventually(() => {
      expect(this.seen.at(-1)?.state).toBe(state)
    })
  }

  async close(): Promise<void> {
    if (this.process.exitCode !== null) return
    const ended = once(this.process, 'exit')
    this.process.kill('SIGCONT')
    this.process.disconnect()
    await ended
  }
}

describe('several processes', () => {
  let servers: Server[]

  async function start(maxStalenessMs: number, feedUrl = database.url): Promise<void> {
    const started = now()
    servers = [1, 2].map(() => new Server({ storeUrl: database.url, feedUrl, maxStalenessMs }))
    for (const server of servers) {
      await server.answers(true, started)
      await server.is('fresh')
    }
  }

  afterEach(async () => {
    for (const server of servers) await server.close()
  })

  test('all see a revocation at once, round after round', async ({ annotate }) => {
    await start(60_000)
    const delays: number[] = []
    for (let round = 0; round < 50; round += 1) {
      const asked = now()
      await admin.unassign(user, 'viewer')
      const committed = now()
      const seen = await Promise.all(servers.map(server => server.answers(false, asked)))
      delays.push(...seen.map(at => Math.max(0, at - committed)))
      const again = now()
      await admin.assign(user, 'viewer')
      await Promise.all(servers.map(server => server.answers(true, again)))
    }
    delays.sort((a, b) => a - b)
    const [p50 = NaN, p99 = NaN] = [0.5, 0.99].map(share => delays[Math.ceil(delays.length * share) - 1])
    await annotate(`a revocation was seen after ${p50.toFixed(1)} ms (p50), ${p99.toFixed(1)} ms (p99)`)
    expect(p50).toBeLessThan(100)
  })

  test('see raw SQL, a deleted role and a deactivated user as well', async () => {
    await start(60_000)
    for (const [revoke, restore] of [
      [`update users set is_active = false`, `update users set is_active = true`],
      [`update roles set is_active = false`, `update roles set is_active = true`],
      [
        `delete from role_permissions`,
        `insert into role_permissions select r.id, p.id from roles r, permissions p
        where r.name = 'viewer' and p.name = 'document:read'`,
      ],
      [`update permissions set is_active = false`, `update permissions set is_active = true`],
    ] as const) {
      for (const [statement, allowed] of [
        [revoke, false],
        [restore, true],
      ] as const) {
        const asked = now()
        await knex.raw(statement)
        await Promise.all(servers.map(server => server.answers(allowed, asked)))
      }
    }
  })

  test('never allow later than the bound after the commit while the feed is cut without a sign', async () => {
    const maxStalenessMs = 1500
    await start(maxStalenessMs, wire.url)
    wire.unplug()
    const asked = now()
    await admin.unassign(user, 'viewer')
    const committed = now()
    for (const server of servers) {
      expect((await server.answers(false, asked)) - committed).toBeLessThan(maxStalenessMs)
    }
    wire.plugIn()
    for (const server of servers) await server.is('fresh')
    const again = now()
    await admin.assign(user, 'viewer')
    for (const server of servers) await server.answers(true, again)
  })

  test('deny at once when they wake up after the bound from before a revocation', async () => {
    const maxStalenessMs = 1000
    await start(maxStalenessMs)
    for (const server of servers) server.process.kill('SIGSTOP')
    await admin.unassign(user, 'viewer')
    await sleep(maxStalenessMs)
    const woken = now()
    for (const server of servers) server.process.kill('SIGCONT')
    for (const server of servers) {
      await server.answers(false, woken)
      expect(server.seen.find(answer => answer.at >= woken)).toMatchObject({ allowed: false })
    }
  })
})

describe('an authorizer over PostgreSQL', () => {
  let authorizer: Authorizer<(typeof permissions.names)[number]>

  beforeEach(() => {
    authorizer = createAuthorizer({ permissions, store: objectionGrantStore({ knex }), maxStalenessMs: 60_000 })
  })

  afterEach(async () => {
    await authorizer.close()
  })

  test('answers from the state a token names, without any feed', async () => {
    expect((await authorizer.accessFor(user)).can('document:read')).toBe(true)
    const token = await admin.unassign(user, 'viewer')
    expect((await authorizer.accessFor(user)).can('document:read')).toBe(true)
    expect((await authorizer.accessFor(user, { atLeast: token })).can('document:read')).toBe(false)
  })

  test('answers from the store when asked for what is true now', async () => {
    expect((await authorizer.accessFor(user)).can('document:read')).toBe(true)
    await knex('user_roles').delete()
    expect((await authorizer.accessFor(user, { freshness: 'now' })).can('document:read')).toBe(false)
  })

  test('ends an assignment on time without any event', async () => {
    await admin.assign(user, 'viewer', { expiresAt: new Date(Date.now() + 400) })
    const access = await authorizer.accessFor(user)
    expect(access.can('document:read')).toBe(true)
    await eventually(() => {
      expect(access.can('document:read')).toBe(false)
    })
    expect((await authorizer.accessFor(user)).can('document:read')).toBe(false)
  })

  test('finds a change that was missed while its feed was away', async () => {
    const watched = createAuthorizer({
      permissions,
      store: objectionGrantStore({ knex }),
      changes: postgresChanges({ connectionString: wire.url }),
      maxStalenessMs: 60_000,
    })
    await eventually(() => {
      expect(watched.state).toBe('fresh')
    })
    expect((await watched.accessFor(user)).can('document:read')).toBe(true)
    wire.unplug()
    await admin.unassign(user, 'viewer')
    expect((await watched.accessFor(user)).can('document:read')).toBe(true)
    wire.plugIn()
    await eventually(async () => {
      expect((await watched.accessFor(user)).can('document:read')).toBe(false)
    })
    await watched.close()
  })
})
