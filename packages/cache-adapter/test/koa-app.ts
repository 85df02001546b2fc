import Koa from 'koa'
import session, { type CreateSessionOptions } from 'koa-session'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Sessions } from '../src/index.ts'
import { genid, koaSessionStore, type KoaSessionStoreOptions } from '../src/koa/index.ts'
import { gate } from './support.ts'

interface AppSession {
  userId?: string | undefined
  count?: number | undefined
  regenerate(): Promise<void>
}
interface AppContext {
  session: AppSession | null
}

/** A request that is held up after it has read its session, until `go` is called. */
export interface Pause {
  readonly reached: Promise<void>
  readonly go: () => void
}

export interface KoaApp {
  readonly url: string
  /** What the application threw. */
  readonly errors: unknown[]
  /** Holds up the next request to a path that starts with `/held`. */
  hold(): Pause
  close(): Promise<void>
}

/** An application with sign-in and sign-out, on real HTTP. */
export async function startKoaApp(
  sessions: Sessions,
  options: CreateSessionOptions & { keys?: Koa['keys']; userId?: KoaSessionStoreOptions['userId'] } = {},
): Promise<KoaApp> {
  const { keys = ['a key of the test'], userId, ...own } = options
  const app = new Koa<Koa.DefaultState, AppContext>()
  const errors: unknown[] = []
  let held: { reach: () => void; released: Promise<void> } | undefined
  app.keys = keys
  app.on('error', error => errors.push(error))
  app.use(session({ key: 'sid', maxAge: 'session', store: koaSessionStore({ sessions, userId }), genid, ...own }, app))
  app.use(async ctx => {
    const user = ctx.URL.searchParams.get('user') ?? undefined
    const current = ctx.session
    if (!current) throw new Error('no session')
    if (ctx.path.startsWith('/held')) {
      held?.reach()
      await held?.released
    }
    switch (ctx.path.replace('/held', '')) {
      case '/count':
        current.count = (current.count ?? 0) + 1
        break
      case '/sign-in':
        current.userId = user
        await current.regenerate()
        break
      case '/regenerate-then-sign-in':
        await current.regenerate()
        current.userId = user
        break
      case '/sign-in-without-new-id':
        current.userId = user
        break
      case '/regenerate':
        await current.regenerate()
        break
      case '/sign-out':
        ctx.session = null
        break
    }
    ctx.body = { user: ctx.session?.userId ?? null, count: ctx.session?.count ?? 0 }
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    errors,
    hold() {
      const reached = gate()
      const released = gate()
      held = { reach: reached.open, released: released.promise }
      return { reached: reached.promise, go: released.open }
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export interface Answer {
  readonly status: number
  readonly user?: string | null
  readonly count?: number
}

/** A browser: it keeps what cookies it is given. */
export class Browser {
  readonly cookies = new Map<string, string>()
  readonly #url: string

  constructor(app: KoaApp, cookies: Iterable<[string, string]> = []) {
    this.#url = app.url
    this.cookies = new Map(cookies)
  }

  get id(): string {
    return this.cookies.get('sid') ?? ''
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    const cookie = Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(this.#url + path, { headers: cookie ? { cookie, ...headers } : headers })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    const text = await response.text()
    return { status: response.status, ...(response.ok ? (JSON.parse(text) as object) : {}) }
  }
}
