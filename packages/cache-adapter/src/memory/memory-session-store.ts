import { checkCount } from '../check.ts'
import type { SessionRecord, SessionStore } from '../session-store.ts'

/** The settings of `memorySessionStore`. */
export interface MemorySessionStoreOptions {
  /** Sessions kept; when it is reached, expired ones go first, then the least recently used. Default 10,000. */
  maxSessions?: number | undefined
}

/**
 * Keeps sessions in the memory of this process: for tests, and for one process that may forget them when it ends.
 *
 * @param options - the bound
 * @returns a store for `createSessions`
 */
export function memorySessionStore(options: MemorySessionStoreOptions = {}): SessionStore {
  const maxSessions = checkCount('maxSessions', options.maxSessions ?? 10_000, 1, 10_000_000)
  // In the order of their last use.
  const records = new Map<string, SessionRecord>()

  function live(idHash: string, now: number): SessionRecord | undefined {
    const record = records.get(idHash)
    return record && now < record.idleExpiresAt && now < record.absoluteExpiresAt ? record : undefined
  }
  function put(record: SessionRecord): void {
    records.delete(record.idHash)
    records.set(record.idHash, structuredClone(record))
  }
  function deleteExpired(now: number, limit: number): number {
    let deleted = 0
    for (const idHash of records.keys()) {
      if (deleted >= limit) break
      if (!live(idHash, now) && records.delete(idHash)) deleted += 1
    }
    return deleted
  }

  return {
    async insert(record) {
      if (records.size >= maxSessions) deleteExpired(record.createdAt, maxSessions)
      const [oldest] = records.keys()
      if (records.size >= maxSessions && oldest !== undefined) records.delete(oldest)
      put(record)
    },
    find: async (idHash, now) => structuredClone(live(idHash, now)),
    async touch(idHash, { now, idleExpiresAt }) {
      const record = live(idHash, now)
      if (!record) return false
      const lastSeenAt = Math.max(record.lastSeenAt, now)
      put({ ...record, lastSeenAt, idleExpiresAt: Math.max(record.idleExpiresAt, idleExpiresAt) })
      return true
    },
    async update(idHash, data, now) {
      const record = live(idHash, now)
      if (record) put({ ...record, data })
      return record !== undefined
    },
    async rename(idHash, newIdHash, now) {
      const record = live(idHash, now)
      if (!record) return undefined
      records.delete(idHash)
      put({ ...record, idHash: newIdHash })
      return { ...record, idHash: newIdHash }
    },
    async delete(idHash, userId) {
      const record = records.get(idHash)
      return record !== undefined && (userId === undefined || record.userId === userId) && records.delete(idHash)
    },
    async deleteOfUser(userId, exceptIdHash) {
      const hashes = [...records.values()]
        .filter(record => record.userId === userId && record.idHash !== exceptIdHash)
        .map(record => record.idHash)
      for (const idHash of hashes) records.delete(idHash)
      return hashes
    },
    async listOfUser(userId, now) {
      const own = [...records.values()].filter(record => record.userId === userId && live(record.idHash, now))
      own.sort((a, b) => b.lastSeenAt - a.lastSeenAt)
      return structuredClone(own.slice(0, 1000))
    },
    deleteExpired: async (now, limit) => deleteExpired(now, limit),
  }
}
