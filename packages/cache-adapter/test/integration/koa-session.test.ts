import knex, { type Knex } from 'knex'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test, vi } from 'vitest'
import { startMemcached } from '../../../../test/support/memcached.ts'
import { createDatabase } from '../../../../test/support/postgres.ts'
import type { Service } from '../../../../test/support/service.ts'
import { createCaches, createSessions, type CacheStore, type Sessions } from '../../src/index.ts'
import { memcachedStore } from '../../src/memcached/index.ts'
import { migrations, postgresSessionStore } from '../../src/postgres/index.ts'
import { Browser, startKoaApp, type KoaApp } from '../koa-app.ts'
import { recorded } from '../support.ts'

let database: Awaited<ReturnType<typeof createDatabase>>
let db: Knex
let memcached: Service
const ends: (() => Promise<void>)[] = []

beforeAll(async () => {
  database = await createDatabase(inject('postgresUrl'))
  db = knex({ client: 'pg', connection: database.url, pool: { min: 0, max: 10 } })
  await db.migrate.latest(migrations())
})
afterAll(async () => {
  await db.destroy()
  await database.drop()
})
beforeEach(async () => {
  memcached = await startMemcached()
})
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
  await memcached.kill()
  await db.raw('truncate sessions')
})

/** What one process of a deployment has: an application with sessions and a connection to Memcached of its own. */
async function startProcess(): Promise<{ app: KoaApp; sessions: Sessions; sent: string[] }> {
  const sent: string[] = []
  const servers = [`127.0.0.1:${memcached.port}`]
  const store = memcachedStore({ servers, timeoutMs: 100, breaker: { failures: 3, openMs: 100, maxOpenMs: 400 } })
  const caches = createCaches({ store: recorded<CacheStore>(store, sent), prefix: 'app', schemaVersion: 1 })
  const sessions = createSessions({ store: postgresSessionStore({ knex: db }), caches })
  const app = await startKoaApp(sessions)
  ends.push(
    () => app.close(),
    () => caches.close(),
  )
  return { app, sessions, sent }
}

test('a session that ends in one process has ended in the others', async () => {
  const [one, two, three] = [await startProcess(), await startProcess(), await startProcess()]
  const browser = new Browser(one.app)
  await browser.get('/sign-in?user=ada')
  const elsewhere = [one, two, three].map(({ app }) => new Browser(app, browser.cookies))
  for (const copy of elsewhere) expect(await copy.get('/')).toMatchObject({ user: 'ada' })
  expect(await three.sessions.destroyAll('ada')).toBe(1)
  for (const copy of elsewhere) expect(await copy.get('/')).toMatchObject({ user: null })
})

test('the value of the cookie is neither in PostgreSQL nor sent to Memcached', async () => {
  const { app, sent } = await startProcess()
  const browser = new Browser(app)
  const ids: string[] = []
  for (const path of ['/count', '/', '/sign-in?user=ada', '/', '/count', '/regenerate', '/']) {
    await browser.get(path)
    ids.push(browser.id)
    const { rows } = await db.raw<{ rows: { row: string }[] }>('select sessions::text as row from sessions')
    expect(rows).toHaveLength(1)
    for (const id of ids) expect(rows[0]?.row).not.toContain(id)
  }
  expect(new Set(ids).size).toBe(3)
  expect(sent.length).toBeGreaterThan(10)
  for (const id of ids) expect(sent.filter(call => call.includes(id))).toEqual([])
})

test('requests that are under way when a session ends do not bring it back, whatever they do', async () => {
  const processes = [await startProcess(), await startProcess()]
  for (let round = 0; round < 20; round += 1) {
    const user = `racer-${round}`
    const browser = new Browser(processes[0]!.app)
    await browser.get(`/sign-in?user=${user}`)
    const paths = ['/', '/count', '/regenerate', '/count', '/regenerate-then-sign-in?user=' + user]
    const racers = processes.flatMap(({ app }) =>
      paths.map(path => ({ path, copy: new Browser(app, browser.cookies) })),
    )
    const racing = racers.map(async ({ path, copy }) => copy.get(path))
    await processes[1]!.sessions.destroyAll(user)
    for (const answer of await Promise.all(racing)) expect(answer.status).toBe(200)
    for (const { copy } of racers) {
      // A request that came after the end had no session any more: its sign-in was a new one.
      const { user: left } = await copy.get('/')
      if (left !== null) await copy.get('/sign-out')
    }
    expect(await new Browser(processes[1]!.app, browser.cookies).get('/')).toMatchObject({ user: null })
    expect(await processes[0]!.sessions.list(user)).toEqual([])
  }
})

test('with Memcached killed in mid-run nobody is signed out, and who signs out stays so', async () => {
  const processes = [await startProcess(), await startProcess()]
  const browsers: Browser[] = []
  for (let index = 0; index < 6; index += 1) {
    const browser = new Browser(processes[index % 2]!.app)
    await browser.get(`/sign-in?user=user-${index}`)
    browsers.push(browser)
  }
  let served = 0
  let running = true
  const users = browsers.map(async (browser, index) => {
    while (running) {
      expect(await browser.get('/')).toMatchObject({ status: 200, user: `user-${index}` })
      served += 1
    }
  })
  const more = async (requests: number): Promise<void> => {
    const until = served + requests
    await Promise.race([vi.waitUntil(() => served >= until, { timeout: 20_000 }), Promise.all(users)])
  }
  await more(60)
  await memcached.kill()
  await more(60)

  const [one, two] = processes.map(({ app }) => new Browser(app))
  await one!.get('/count')
  const before = new Browser(processes[0]!.app, one!.cookies)
  expect(await one!.get('/sign-in?user=ada')).toMatchObject({ user: 'ada', count: 1 })
  expect(await before.get('/')).toMatchObject({ user: null })
  await two!.get('/sign-in?user=ada')
  const copies = [one!, two!].map(({ cookies }, index) => new Browser(processes[1 - index]!.app, cookies))
  for (const copy of copies) expect(await copy.get('/')).toMatchObject({ user: 'ada' })
  await one!.get('/sign-out')
  expect(await processes[0]!.sessions.list('ada')).toHaveLength(1)
  expect(await processes[0]!.sessions.destroyAll('ada')).toBe(1)
  for (const copy of copies) expect(await copy.get('/')).toMatchObject({ user: null })

  memcached = await startMemcached({ port: memcached.port })
  await more(60)
  for (const copy of copies) expect(await copy.get('/')).toMatchObject({ user: null })
  running = false
  await Promise.all(users)
})
