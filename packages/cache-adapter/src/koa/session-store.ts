import { InvalidCacheInputError } from '../errors.ts'
import { newSessionId } from '../session-id.ts'
import type { SessionData } from '../session-store.ts'
import type { Sessions } from '../session.ts'

/** The settings of `koaSessionStore`. */
export interface KoaSessionStoreOptions {
  /** Made by `createSessions`: its `idleMs` and `absoluteMs` end a session whatever koa-session's `maxAge` says. */
  sessions: Sessions
  /**
   * Finds the user in what the application keeps in `ctx.session`: a string or a whole number, or undefined before
   * sign-in. Default `data => data.userId`; for koa-passport `data => data.passport?.user`.
   */
  userId?: ((data: SessionData) => unknown) | undefined
}

/** What this package uses of Koa's context. */
export interface KoaSessionContextLike {
  readonly session?: unknown
}

/** What koa-session passes with each call. */
export interface KoaSessionCallLike {
  readonly ctx?: KoaSessionContextLike | undefined
}

/** What koa-session takes as its `store`. */
export interface KoaSessionStore {
  /** Reads what a request's cookie names; undefined for anything that is no live session. */
  get(key: string, maxAge: unknown, call: KoaSessionCallLike): Promise<SessionData | undefined>
  /** Stores a new session, or what a request has changed in one that has not ended meanwhile. */
  set(key: string, session: SessionData, maxAge: unknown, call: KoaSessionCallLike): Promise<void>
  /** Ends a session, or the old id of one that is regenerated. */
  destroy(key: string, call: KoaSessionCallLike): Promise<void>
}

/** The session of a request under way. `moved`: between the end of its old id and the first use of its new one. */
type Current =
  | { readonly state: 'live'; readonly id: string; readonly owner: string; readonly isNew: boolean }
  | { readonly state: 'moved'; readonly id: string | undefined; readonly owner: string }

// The user of a session before sign-in: one for each session, so that no call for a user ever means several of them.
const anonymous = 'anonymous:'

/**
 * Makes ids of 256 random bits for koa-session, whose own have 122. `koaSessionStore` takes no others.
 *
 * @returns an id for koa-session's option `genid`
 */
export function genid(): string {
  return newSessionId()
}

/**
 * Keeps the sessions of koa-session in `Sessions`: their truth in the durable store, their reads from the cache, their
 * ids hashed. What ends a session there (`destroyAll`, `destroyHandle`, expiry) signs out here, and a request that was
 * under way meanwhile cannot bring it back.
 *
 * A session belongs to one user for good: call `await ctx.session.regenerate()` at sign-in, which changes the id, and
 * set `ctx.session = null` at sign-out.
 *
 * koa-session signs the cookie with the application's keys by HMAC-SHA-1. For SHA-256 give Koa a Keygrip in place of an
 * array: `app.keys = new Keygrip([secret], 'sha256')`, from the package keygrip.
 *
 * @param options - `sessions` is required
 * @returns a store for koa-session 7; its methods throw INVALID_CACHE_INPUT for an id that `genid` did not make, for a
 *   user that is neither string nor whole number, and for a session whose user changes without a new id
 *
 * @example
 * ```ts
 * import { createSessions } from '@countersign/cache-adapter'
 * import { genid, koaSessionStore } from '@countersign/cache-adapter/koa'
 * import { memorySessionStore } from '@countersign/cache-adapter/memory'
 * import Koa from 'koa'
 * import session from 'koa-session'
 *
 * const sessions = createSessions({ store: memorySessionStore() })
 * const app = new Koa()
 * app.keys = [process.env['COOKIE_KEY'] ?? '']
 * app.use(session({ key: 'sid', maxAge: 'session', sameSite: 'lax', store: koaSessionStore({ sessions }), genid }, app))
 * ```
 */
export function koaSessionStore(options: KoaSessionStoreOptions): KoaSessionStore {
  const { sessions, userId = data => data.userId } = options
  const currents = new WeakMap<KoaSessionContextLike, Current>()

  function userOf(data: SessionData): string | undefined {
    const user = userId(data)
    if (user === undefined || user === null) return undefined
    if (typeof user === 'string') return user
    if (typeof user === 'number' && Number.isSafeInteger(user)) return String(user)
    throw new InvalidCacheInputError('userId', 'must be a string or a whole number, or undefined before sign-in')
  }

  async function create(ctx: KoaSessionContextLike, id: string, user: string | undefined, data: SessionData) {
    const owner = user ?? anonymous + newSessionId()
    await sessions.create({ id, userId: owner, data })
    currents.set(ctx, { state: 'live', id, owner, isNew: true })
  }

  return {
    async get(key, _maxAge, call) {
      const ctx = contextOf(call)
      const session = await sessions.read(key)
      if (!session) return undefined
      currents.set(ctx, { state: 'live', id: key, owner: session.userId, isNew: false })
      return session.data
    },
    async set(key, data, _maxAge, call) {
      const ctx = contextOf(call)
      const user = userOf(data)
      const current = currents.get(ctx)
      // Read but not accepted by koa-session, which began a new one.
      if (!current || (current.state === 'live' && current.id !== key)) return create(ctx, key, user, data)
      const { owner, id } = current
      if (user === undefined ? owner.startsWith(anonymous) : owner === user) {
        if (current.state === 'moved') {
          if (id === undefined || !(await sessions.rotate(id, key))) return
          currents.set(ctx, { state: 'live', id: key, owner, isNew: true })
        }
        // False if the session was ended while this request ran: then what it wrote is not kept.
        await sessions.update(key, data)
        return
      }
      if (current.state === 'live' && !current.isNew)
        throw new InvalidCacheInputError('userId', 'must not change under one id: await ctx.session.regenerate() first')
      if (id !== undefined) await sessions.destroy(id)
      return create(ctx, key, user, data)
    },
    async destroy(key, call) {
      const ctx = contextOf(call)
      const current = currents.get(ctx)
      // Regenerating: koa-session ends the old id here and names the new one later. What lies between is kept under an id
      // that nobody knows, so that destroyAll() still finds it.
      if (current?.state === 'live' && current.id === key && ctx.session) {
        const moved = await sessions.rotate(key)
        currents.set(ctx, { state: 'moved', id: moved?.id, owner: current.owner })
        return
      }
      await sessions.destroy(key)
      if (current?.state === 'moved' && current.id !== undefined && !ctx.session) await sessions.destroy(current.id)
    },
  }
}

function contextOf(call: KoaSessionCallLike): KoaSessionContextLike {
  if (call.ctx) return call.ctx
  throw new InvalidCacheInputError('ctx', 'must be passed, as koa-session 7 does')
}
