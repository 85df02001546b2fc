import { createRequire } from 'node:module'
import type Koa from 'koa'
import { afterEach, expect, test, vi } from 'vitest'
import { createCaches, createSessions, type CacheStore, type SessionStore } from '../src/index.ts'
import { genid, koaSessionStore } from '../src/koa/index.ts'
import { memorySessionStore, memoryStore } from '../src/memory/index.ts'
import { Browser, startKoaApp, type KoaApp } from './koa-app.ts'
import { recorded } from './support.ts'

const apps: KoaApp[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

async function setUp(options: Parameters<typeof startKoaApp>[1] & { idleMs?: number; absoluteMs?: number } = {}) {
  const { idleMs, absoluteMs, ...appOptions } = options
  let now = Date.now()
  const clock = { now: () => now }
  const calls: string[] = []
  const store = recorded<SessionStore>(memorySessionStore(), calls)
  const caches = createCaches({
    store: recorded<CacheStore>(memoryStore({ now: clock.now }), calls),
    prefix: 'app',
    schemaVersion: 1,
    clock,
  })
  const sessions = createSessions({ store, caches, clock, idleMs, absoluteMs })
  const app = await startKoaApp(sessions, appOptions)
  apps.push(app)
  return { app, sessions, calls, browser: new Browser(app), advance: (ms: number) => (now += ms) }
}

test('a sign-in changes the id, keeps the data, and makes the session one of the user', async () => {
  const { app, sessions, browser } = await setUp()
  expect(await browser.get('/count')).toEqual({ status: 200, user: null, count: 1 })
  const before = new Browser(app, browser.cookies)
  expect(await browser.get('/sign-in?user=ada')).toEqual({ status: 200, user: 'ada', count: 1 })
  expect(browser.id).not.toBe(before.id)
  expect(await browser.get('/')).toEqual({ status: 200, user: 'ada', count: 1 })
  expect(await before.get('/')).toEqual({ status: 200, user: null, count: 0 })
  expect(await sessions.list('ada')).toMatchObject([{ userId: 'ada', data: { userId: 'ada', count: 1 } }])
})

test('a sign-in works before and after the new id is made, and without a session before', async () => {
  const { app, sessions, browser } = await setUp()
  await browser.get('/count')
  expect(await browser.get('/regenerate-then-sign-in?user=ada')).toMatchObject({ status: 200, user: 'ada' })
  expect(await browser.get('/')).toMatchObject({ user: 'ada', count: 1 })
  for (const path of ['/sign-in', '/regenerate-then-sign-in', '/sign-in-without-new-id']) {
    const fresh = new Browser(app)
    await fresh.get(`${path}?user=bob`)
    expect(await fresh.get('/')).toMatchObject({ user: 'bob' })
  }
  expect(await sessions.list('ada')).toHaveLength(1)
  expect(await sessions.list('bob')).toHaveLength(3)
  expect(app.errors).toEqual([])
})

test('a sign-in that would keep an id somebody else may know is refused', async () => {
  const { app, sessions, browser } = await setUp()
  await browser.get('/count')
  expect(await browser.get('/sign-in-without-new-id?user=ada')).toEqual({ status: 500 })
  expect(app.errors).toMatchObject([{ code: 'INVALID_CACHE_INPUT', field: 'userId' }])
  expect(await browser.get('/')).toMatchObject({ user: null, count: 1 })
  expect(await sessions.list('ada')).toEqual([])
})

test('another user signs in on the same browser', async () => {
  const { sessions, browser } = await setUp()
  await browser.get('/sign-in?user=ada')
  await browser.get('/sign-in?user=bob')
  expect(await browser.get('/')).toMatchObject({ user: 'bob' })
  expect(await sessions.list('ada')).toEqual([])
})

test('the cookie has 256 random bits, which neither store nor cache ever see', async () => {
  const { calls, browser } = await setUp()
  const ids: string[] = []
  for (const path of ['/count', '/count', '/sign-in?user=ada', '/', '/regenerate', '/count', '/']) {
    await browser.get(path)
    ids.push(browser.id)
  }
  await browser.get('/sign-out')
  expect(new Set(ids).size).toBe(3)
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect(calls.length).toBeGreaterThan(20)
  for (const id of ids) expect(calls.filter(call => call.includes(id))).toEqual([])
})

test('regenerating gives a new id to the same session, which ends when it would have ended', async () => {
  const { app, sessions, browser, advance } = await setUp({ idleMs: 600_000, absoluteMs: 900_000 })
  await browser.get('/sign-in?user=ada')
  const before = new Browser(app, browser.cookies)
  const [old] = await sessions.list('ada')
  advance(500_000)
  await browser.get('/regenerate')
  const listed = await sessions.list('ada')
  expect(listed).toMatchObject([{ createdAt: old?.createdAt }])
  expect(listed[0]?.handle).not.toBe(old?.handle)
  expect(await before.get('/')).toMatchObject({ user: null })
  expect(await browser.get('/')).toMatchObject({ user: 'ada' })
  advance(400_000)
  expect(await browser.get('/')).toMatchObject({ user: null })
})

test('a sign-out ends the session, and its cookie is worth nothing any more', async () => {
  const { app, sessions, browser } = await setUp()
  await browser.get('/sign-in?user=ada')
  const copy = new Browser(app, browser.cookies)
  expect(await copy.get('/')).toMatchObject({ user: 'ada' })
  await browser.get('/sign-out')
  expect(browser.id).toBe('')
  expect(await copy.get('/')).toMatchObject({ user: null })
  expect(await sessions.list('ada')).toEqual([])
})

test('destroyAll signs out all browsers of a user, destroyHandle one', async () => {
  const { app, sessions } = await setUp()
  const browsers = [new Browser(app), new Browser(app), new Browser(app)]
  for (const browser of browsers) await browser.get('/sign-in?user=ada')
  const other = new Browser(app)
  await other.get('/sign-in?user=bob')
  const users = async () => Promise.all([...browsers, other].map(async browser => (await browser.get('/')).user))
  expect(await users()).toEqual(['ada', 'ada', 'ada', 'bob'])
  const [last] = await sessions.list('ada')
  expect(await sessions.destroyHandle('ada', last?.handle ?? '')).toBe(true)
  expect((await users()).filter(user => user === 'ada')).toHaveLength(2)
  expect(await sessions.destroyAll('ada')).toBe(2)
  expect(await users()).toEqual([null, null, null, 'bob'])
})

test.each(['/held/count', '/held/regenerate', '/held/regenerate-then-sign-in?user=ada'])(
  'a request to %s that was under way when its session ended does not bring it back',
  async path => {
    const { app, sessions, browser } = await setUp()
    await browser.get('/sign-in?user=ada')
    const before = new Browser(app, browser.cookies)
    const pause = app.hold()
    const answer = browser.get(path)
    await pause.reached
    expect(await sessions.destroyAll('ada')).toBe(1)
    pause.go()
    expect(await answer).toMatchObject({ status: 200 })
    expect(await sessions.list('ada')).toEqual([])
    expect(await before.get('/')).toMatchObject({ user: null })
    expect(await browser.get('/')).toMatchObject({ user: null })
  },
)

test('destroyAll also ends a session that is between its old id and its new one', async () => {
  let between = (): unknown => undefined
  const { app, sessions, browser } = await setUp({ beforeSave: () => void between() })
  await browser.get('/sign-in?user=ada')
  let ended: Promise<number> | undefined
  between = () => (ended ??= sessions.destroyAll('ada'))
  await browser.get('/regenerate')
  expect(await ended).toBe(1)
  expect(await browser.get('/')).toMatchObject({ user: null })
  expect(await sessions.list('ada')).toEqual([])
  expect(app.errors).toEqual([])
})

test('a session ends when it is idle for too long, and use keeps it', async () => {
  const { browser, advance } = await setUp({ idleMs: 600_000 })
  await browser.get('/sign-in?user=ada')
  for (let used = 0; used < 5; used += 1) {
    advance(500_000)
    expect(await browser.get('/')).toMatchObject({ user: 'ada' })
  }
  advance(600_001)
  expect(await browser.get('/')).toMatchObject({ user: null })
})

test("koa-session's own maxAge ends a session too, and the next one has another id", async () => {
  const { app, browser } = await setUp({ maxAge: 50 })
  await browser.get('/sign-in?user=ada')
  const copy = new Browser(app, browser.cookies)
  await vi.waitUntil(async () => (await copy.get('/')).user === null, { timeout: 5000 })
  await copy.get('/count')
  expect(copy.id).not.toBe(browser.id)
  expect(app.errors).toEqual([])
})

test('a rolling session is put off by every request', async () => {
  const { browser, sessions } = await setUp({ maxAge: 60_000, rolling: true })
  await browser.get('/sign-in?user=ada')
  const expiry = async () => (await sessions.list('ada'))[0]?.data._expire as number
  const first = await expiry()
  await vi.waitUntil(() => Date.now() > first - 60_000)
  await browser.get('/')
  expect(await expiry()).toBeGreaterThan(first)
})

test('ids that genid did not make are refused', async () => {
  const { app, browser } = await setUp({ genid: undefined })
  expect(await browser.get('/count')).toEqual({ status: 500 })
  expect(app.errors).toMatchObject([{ code: 'INVALID_CACHE_INPUT', field: 'id' }])
})

test('an id that was never given out does not become one', async () => {
  const { app, calls } = await setUp({ signed: false })
  const chosen = genid()
  const browser = new Browser(app, [['sid', chosen]])
  await browser.get('/sign-in?user=ada')
  expect(browser.id).not.toBe(chosen)
  expect(await new Browser(app, [['sid', chosen]]).get('/')).toMatchObject({ user: null })
  calls.length = 0
  expect(await new Browser(app, [['sid', "' or 1=1 --"]]).get('/')).toMatchObject({ status: 200, user: null })
  expect(calls).toEqual([])
})

test('the id may travel in a header in place of a cookie', async () => {
  const { app, sessions } = await setUp({
    externalKey: {
      get: (ctx: Koa.Context) => ctx.get('x-session'),
      set: (ctx: Koa.Context, id: string) => {
        ctx.state.id = id
        ctx.cookies.set('id', id, { signed: false })
      },
    },
  })
  const phone = new Browser(app)
  await phone.get('/sign-in?user=ada')
  const id = phone.cookies.get('id') ?? ''
  phone.cookies.clear()
  expect(await phone.get('/', { 'x-session': id })).toMatchObject({ user: 'ada' })
  await sessions.destroyAll('ada')
  expect(await phone.get('/', { 'x-session': id })).toMatchObject({ user: null })
})

test('the user may stand wherever the application puts it', async () => {
  const sessions = createSessions({ store: memorySessionStore() })
  const passport = (data: Readonly<Record<string, unknown>>): unknown =>
    (data.passport as { user?: unknown } | undefined)?.user
  const store = koaSessionStore({ sessions, userId: passport })
  await store.set(genid(), { passport: { user: 42 } }, 'session', { ctx: {} })
  expect(await sessions.list('42')).toHaveLength(1)
  const refused = store.set(genid(), { passport: { user: { id: 42 } } }, 'session', { ctx: {} })
  await expect(refused).rejects.toMatchObject({ code: 'INVALID_CACHE_INPUT', field: 'userId' })
  await expect(store.set(genid(), {}, 'session', {})).rejects.toMatchObject({ field: 'ctx' })
})

test('a Keygrip with sha256 signs the cookie with 256 bits', async () => {
  // keygrip is not a dependency of this package: this is the copy that Koa uses.
  const koa = createRequire(createRequire(import.meta.url).resolve('koa'))
  const Keygrip = createRequire(koa.resolve('cookies'))('keygrip') as new (keys: string[], algorithm: string) => object
  const { browser } = await setUp({ keys: new Keygrip(['a key of the test'], 'sha256') as Koa['keys'] })
  await browser.get('/sign-in?user=ada')
  expect(browser.cookies.get('sid.sig')).toHaveLength(43)
  expect(await browser.get('/')).toMatchObject({ user: 'ada' })
  browser.cookies.set('sid.sig', 'A'.repeat(43))
  expect(await browser.get('/')).toMatchObject({ user: null })
})
