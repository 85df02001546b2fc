import type { SessionData, SessionRecord, SessionStore } from '../session-store.ts'
import { rowsOf, type KnexLike } from './knex-like.ts'

/** The settings of `postgresSessionStore`. */
export interface PostgresSessionStoreOptions {
  /** Knex over PostgreSQL, whose table `sessions` was made by `migrations()`. */
  knex: KnexLike
}

interface Row {
  readonly id_hash: string
  readonly user_id: string
  readonly data: SessionData
  readonly created_at: Date
  readonly last_seen_at: Date
  readonly idle_expires_at: Date
  readonly absolute_expires_at: Date
}

const live = 'least(idle_expires_at, absolute_expires_at) > ?'

/**
 * Keeps sessions in PostgreSQL, in the table `sessions`.
 *
 * @param options - `knex` is required
 * @returns a store for `createSessions`
 *
 * @example
 * ```ts
 * import { createSessions } from '@countersign/cache-adapter'
 * import { postgresSessionStore } from '@countersign/cache-adapter/postgres'
 * import knex from 'knex'
 *
 * const database = knex({ client: 'pg', connection: 'postgres://localhost/app' })
 * export const sessions = createSessions({ store: postgresSessionStore({ knex: database }) })
 * ```
 */
export function postgresSessionStore({ knex }: PostgresSessionStoreOptions): SessionStore {
  return {
    async insert(record) {
      await knex.raw(
        `insert into sessions
           (id_hash, user_id, data, created_at, last_seen_at, idle_expires_at, absolute_expires_at)
         values (?, ?, ?, ?, ?, ?, ?)`,
        [
          record.idHash,
          record.userId,
          JSON.stringify(record.data),
          new Date(record.createdAt),
          new Date(record.lastSeenAt),
          new Date(record.idleExpiresAt),
          new Date(record.absoluteExpiresAt),
        ],
      )
    },
    async find(idHash, now) {
      const sql = `select * from sessions where id_hash = ? and ${live}`
      const [row] = await rowsOf<Row>(knex, sql, [idHash, new Date(now)])
      return row && recordOf(row)
    },
    async touch(idHash, { now, idleExpiresAt }) {
      const sql = `update sessions
        set last_seen_at = greatest(last_seen_at, ?), idle_expires_at = greatest(idle_expires_at, ?)
        where id_hash = ? and ${live} returning id_hash`
      const at = new Date(now)
      return (await rowsOf(knex, sql, [at, new Date(idleExpiresAt), idHash, at])).length > 0
    },
    async update(idHash, data, now) {
      const sql = `update sessions set data = ? where id_hash = ? and ${live} returning id_hash`
      return (await rowsOf(knex, sql, [JSON.stringify(data), idHash, new Date(now)])).length > 0
    },
    async rename(idHash, newIdHash, now) {
      const sql = `update sessions set id_hash = ? where id_hash = ? and ${live} returning *`
      const [row] = await rowsOf<Row>(knex, sql, [newIdHash, idHash, new Date(now)])
      return row && recordOf(row)
    },
    async delete(idHash, userId) {
      const own = userId === undefined ? '' : ' and user_id = ?'
      const sql = `delete from sessions where id_hash = ?${own} returning id_hash`
      return (await rowsOf(knex, sql, userId === undefined ? [idHash] : [idHash, userId])).length > 0
    },
    async deleteOfUser(userId, exceptIdHash) {
      const sql = 'delete from sessions where user_id = ? and id_hash is distinct from ? returning id_hash'
      const rows = await rowsOf<Row>(knex, sql, [userId, exceptIdHash ?? null])
      return rows.map(row => row.id_hash)
    },
    async listOfUser(userId, now) {
      const sql = `select * from sessions where user_id = ? and ${live} order by last_seen_at desc limit 1000`
      return (await rowsOf<Row>(knex, sql, [userId, new Date(now)])).map(recordOf)
    },
    async deleteExpired(now, limit) {
      const sql = `delete from sessions where id_hash in (
        select id_hash from sessions where not (${live}) limit ? for update skip locked
      ) returning id_hash`
      return (await rowsOf(knex, sql, [new Date(now), limit])).length
    },
  }
}

function recordOf(row: Row): SessionRecord {
  return {
    idHash: row.id_hash,
    userId: row.user_id,
    data: row.data,
    createdAt: row.created_at.getTime(),
    lastSeenAt: row.last_seen_at.getTime(),
    idleExpiresAt: row.idle_expires_at.getTime(),
    absoluteExpiresAt: row.absolute_expires_at.getTime(),
  }
}
