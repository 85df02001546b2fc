/** What an application keeps in a session: a JSON object. */
export type SessionData = Readonly<Record<string, unknown>>

/** A session as stored. Times are milliseconds since 1970. Plain JSON, so that a cache can keep it. */
export interface SessionRecord {
  /** The SHA-256 of the session's id, as base64url; the id itself is stored nowhere. */
  readonly idHash: string
  readonly userId: string
  readonly data: SessionData
  readonly createdAt: number
  readonly lastSeenAt: number
  /** When it ends unless it is used. */
  readonly idleExpiresAt: number
  /** When it ends in any case. */
  readonly absoluteExpiresAt: number
}

/** The port to the durable store that holds the truth about sessions. `now` is the caller's time in milliseconds. */
export interface SessionStore {
  /** Stores a new session; its id hash is not in use yet. */
  insert(record: SessionRecord): Promise<void>
  /** Resolves to undefined for a session that does not exist or has expired. */
  find(idHash: string, now: number): Promise<SessionRecord | undefined>
  /** Moves the idle expiry, never back; false if there is no such session any more. */
  touch(idHash: string, seen: { readonly now: number; readonly idleExpiresAt: number }): Promise<boolean>
  /** Replaces the data; false if there is no such session any more. */
  update(idHash: string, data: SessionData, now: number): Promise<boolean>
  /** Gives a session another id in one atomic step; undefined if there is no such session any more. */
  rename(idHash: string, newIdHash: string, now: number): Promise<SessionRecord | undefined>
  /** Resolves to true if there was one. With `userId`, only if it is this user's. */
  delete(idHash: string, userId?: string): Promise<boolean>
  /** Deletes all sessions of a user but `exceptIdHash`, and resolves to the hashes of what was deleted. */
  deleteOfUser(userId: string, exceptIdHash?: string): Promise<readonly string[]>
  /** Lists a user's sessions, the last used first, at most 1000. */
  listOfUser(userId: string, now: number): Promise<readonly SessionRecord[]>
  /** Deletes at most `limit` expired sessions and resolves to how many it deleted. */
  deleteExpired(now: number, limit: number): Promise<number>
}
