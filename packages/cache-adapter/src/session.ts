import type { Cache } from './cache.ts'
import type { Caches } from './caches.ts'
import { checkCount, checkMs } from './check.ts'
import { systemClock, type Clock } from './clock.ts'
import { InvalidCacheInputError } from './errors.ts'
import { publish } from './events.ts'
import { hashOf, isSessionId, newSessionId } from './session-id.ts'
import type { SessionData, SessionRecord, SessionStore } from './session-store.ts'

/** The settings of `createSessions`. */
export interface SessionsOptions {
  /** Holds the truth. */
  store: SessionStore
  /** Saves most reads of the store; without it every read asks the store. */
  caches?: Caches | undefined
  /** Milliseconds without use after which a session ends. Default 1,800,000 (30 minutes). */
  idleMs?: number | undefined
  /** Milliseconds after which a session ends in any case. Default 43,200,000 (12 hours). */
  absoluteMs?: number | undefined
  /** A use is written to the store at most once in so many milliseconds. Default a tenth of `idleMs`, at most 60,000. */
  touchEveryMs?: number | undefined
  /** Milliseconds for which a session is served from the cache. Default 60,000. */
  cacheMs?: number | undefined
  /** The time; a test can bring its own. Default the system's. */
  clock?: Clock | undefined
}

/** A live session. */
export interface Session {
  /** Names the session without giving access to it: for logs, and for `destroyHandle`. */
  readonly handle: string
  readonly userId: string
  readonly data: SessionData
  readonly createdAt: Date
  /** Accurate to `touchEveryMs`. */
  readonly lastSeenAt: Date
  /** When it ends unless it is used before. */
  readonly expiresAt: Date
}

/** A session with the secret that gives access to it, which is known only now. */
export interface NewSession extends Session {
  /** 256 random bits as base64url: what goes into the cookie. */
  readonly id: string
}

/** The sessions of an application: their truth in a durable store, most reads from the cache. */
export interface Sessions {
  /**
   * Starts a session; `data` is a JSON object, empty unless given. An `id` is given only by a framework that makes ids
   * itself: 256 random bits as base64url, never used before.
   */
  create(input: { userId: string; data?: SessionData | undefined; id?: string | undefined }): Promise<NewSession>
  /** Finds a live session and counts as its use; undefined for anything else, without saying why. */
  read(id: string): Promise<Session | undefined>
  /** Replaces the data; false if the session has ended. */
  update(id: string, data: SessionData): Promise<boolean>
  /**
   * Gives a session a new id, which ends the old one at once: call it when rights change, as at sign-in. For `newId` the
   * same holds as for the `id` of `create`.
   */
  rotate(id: string, newId?: string): Promise<NewSession | undefined>
  /** Ends a session; true if there was one. */
  destroy(id: string): Promise<boolean>
  /** Ends one session of a user by its handle, as from a list of devices; true if there was one. */
  destroyHandle(userId: string, handle: string): Promise<boolean>
  /** Ends all sessions of a user, or all but the one with this id, and resolves to how many. */
  destroyAll(userId: string, options?: { exceptId?: string | undefined }): Promise<number>
  /** Lists a user's live sessions, the last used first. */
  list(userId: string): Promise<readonly Session[]>
  /** Deletes expired sessions from the store, at most `limit` (default 1000), and resolves to how many. */
  deleteExpired(limit?: number): Promise<number>
}

const unstorable = /[\0\p{Surrogate}]/u

/**
 * Makes sessions whose truth is in a durable store and whose reads come from the cache. With the cache down every call
 * still works. A destroyed session is deleted from the store first and from the cache second, and no load that began
 * before can put it back.
 *
 * Ids follow the OWASP session management cheat sheet: 256 random bits, hashed wherever they are kept, idle and
 * absolute expiry, a new id when rights change.
 *
 * @param options - `store` is required
 * @returns the operations on sessions
 * @throws INVALID_CACHE_INPUT for a duration that cannot be
 *
 * @example
 * ```ts
 * import { createCaches, createSessions } from '@countersign/cache-adapter'
 * import { memorySessionStore, memoryStore } from '@countersign/cache-adapter/memory'
 *
 * const caches = createCaches({ store: memoryStore(), prefix: 'app', schemaVersion: 1 })
 * const sessions = createSessions({ store: memorySessionStore(), caches, idleMs: 30 * 60_000 })
 * const { id } = await sessions.create({ userId: 'u1', data: { theme: 'dark' } })
 * export const session = await sessions.read(id)
 * await sessions.destroyAll('u1')
 * ```
 */
export function createSessions(options: SessionsOptions): Sessions {
  const { store, clock = systemClock } = options
  const idleMs = checkMs('idleMs', options.idleMs ?? 30 * 60_000)
  const absoluteMs = checkMs('absoluteMs', options.absoluteMs ?? 12 * 3_600_000)
  const touchEveryMs = checkMs('touchEveryMs', options.touchEveryMs ?? Math.min(60_000, idleMs / 10))
  const cacheMs = checkMs('cacheMs', options.cacheMs ?? 60_000)
  if (touchEveryMs > idleMs / 2) throw new InvalidCacheInputError('touchEveryMs', 'must be at most half of idleMs')
  const cache: Cache<SessionRecord> | undefined = options.caches?.namespace<SessionRecord>('sessions', {
    ttlMs: cacheMs,
  })
  const touching = new Map<string, Promise<boolean>>()

  async function find(idHash: string): Promise<SessionRecord | undefined> {
    const load = (): Promise<SessionRecord | undefined> => store.find(idHash, clock.now())
    const record = cache ? await cache.getOrLoad(idHash, load) : await load()
    return record && isLive(record, clock.now()) ? record : undefined
  }

  /** Writes a use to the store; the next read loads the new times, under a lease, so that nothing destroyed returns. */
  async function touch(idHash: string): Promise<boolean> {
    const now = clock.now()
    try {
      const exists = await store.touch(idHash, { now, idleExpiresAt: now + idleMs })
      await cache?.delete(idHash)
      return exists
    } catch (error) {
      // The session is known to be live; that its use could not be noted only shortens it.
      publish('error', () => ({ namespace: 'sessions', key: idHash, operation: 'touch', error }))
      return true
    }
  }

  async function touchOnce(idHash: string): Promise<boolean> {
    const running = touching.get(idHash) ?? touch(idHash).finally(() => touching.delete(idHash))
    touching.set(idHash, running)
    return running
  }

  return {
    async create({ userId, data = {}, id = newSessionId() }) {
      checkUserId(userId)
      checkNewId('id', id)
      const now = clock.now()
      const record: SessionRecord = {
        idHash: hashOf(id),
        userId,
        data: plainObject(data),
        createdAt: now,
        lastSeenAt: now,
        idleExpiresAt: now + idleMs,
        absoluteExpiresAt: now + absoluteMs,
      }
      await store.insert(record)
      return { ...sessionOf(record), id }
    },
    async read(id) {
      if (!isSessionId(id)) return undefined
      const idHash = hashOf(id)
      const record = await find(idHash)
      if (!record) return undefined
      const now = clock.now()
      if (now - record.lastSeenAt < touchEveryMs) return sessionOf(record)
      if (!(await touchOnce(idHash))) return undefined
      return sessionOf({ ...record, lastSeenAt: now, idleExpiresAt: now + idleMs })
    },
    async update(id, data) {
      const plain = plainObject(data)
      if (!isSessionId(id)) return false
      const idHash = hashOf(id)
      const exists = await store.update(idHash, plain, clock.now())
      await cache?.delete(idHash)
      return exists
    },
    async rotate(id, newId = newSessionId()) {
      checkNewId('newId', newId)
      if (!isSessionId(id)) return undefined
      const record = await store.rename(hashOf(id), hashOf(newId), clock.now())
      await cache?.delete(hashOf(id))
      return record && { ...sessionOf(record), id: newId }
    },
    async destroy(id) {
      if (!isSessionId(id)) return false
      const existed = await store.delete(hashOf(id))
      await cache?.delete(hashOf(id))
      return existed
    },
    async destroyHandle(userId, handle) {
      if (!isSessionId(handle)) return false
      const existed = await store.delete(handle, userId)
      if (existed) await cache?.delete(handle)
      return existed
    },
    async destroyAll(userId, { exceptId } = {}) {
      const hashes = await store.deleteOfUser(userId, isSessionId(exceptId) ? hashOf(exceptId) : undefined)
      await Promise.all(hashes.map(async idHash => cache?.delete(idHash)))
      return hashes.length
    },
    async list(userId) {
      return (await store.listOfUser(userId, clock.now())).map(sessionOf)
    },
    deleteExpired: async (limit = 1000) => store.deleteExpired(clock.now(), checkCount('limit', limit, 1, 1_000_000)),
  }
}

function isLive(record: SessionRecord, now: number): boolean {
  return now < record.idleExpiresAt && now < record.absoluteExpiresAt
}

function sessionOf(record: SessionRecord): Session {
  return {
    handle: record.idHash,
    userId: record.userId,
    data: record.data,
    createdAt: new Date(record.createdAt),
    lastSeenAt: new Date(record.lastSeenAt),
    expiresAt: new Date(Math.min(record.idleExpiresAt, record.absoluteExpiresAt)),
  }
}

function checkUserId(userId: unknown): void {
  if (typeof userId === 'string' && userId !== '' && userId.length <= 1000 && !unstorable.test(userId)) return
  throw new InvalidCacheInputError('userId', 'must be a string of 1 to 1000 characters without NUL or lone surrogates')
}

function checkNewId(field: string, id: unknown): void {
  if (isSessionId(id)) return
  throw new InvalidCacheInputError(field, 'must be 256 random bits as 43 characters of base64url')
}

/** Copies the data as JSON, so that what is stored is what will be read. */
function plainObject(data: unknown): SessionData {
  try {
    const text = JSON.stringify(data, (key, value: unknown) => {
      // PostgreSQL's jsonb takes neither.
      if (unstorable.test(key) || (typeof value === 'string' && unstorable.test(value)))
        throw new Error('lone surrogate or NUL')
      return value
    })
    const copy: unknown = JSON.parse(text)
    if (typeof copy === 'object' && copy !== null && !Array.isArray(copy)) return copy as SessionData
  } catch (cause) {
    throw new InvalidCacheInputError('data', 'must be a JSON object without NUL or lone surrogates', { cause })
  }
  throw new InvalidCacheInputError('data', 'must be a JSON object without NUL or lone surrogates')
}
