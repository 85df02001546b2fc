import { randomInt } from 'node:crypto'
import { decodeEntry, emptyEntry, encodeEntry, kinds } from './entry.ts'
import type { Reader, ReadResult } from './reader.ts'
import type { CacheStore } from './store.ts'

// A version that is lost costs a miss, so any long time will do; memcached reads more than 30 days as a date.
const versionTtlMs = 30 * 24 * 3_600_000

/** Makes an id that was not there before and will not be again: 48 random bits, never 0. */
export function randomId(): number {
  return randomInt(1, 2 ** 48 - 1)
}

/** Reads a version id from what is stored: undefined when there is none, or none that is readable. */
export function versionIn(key: string, result: ReadResult): number | undefined {
  if (!result || result instanceof Error) return undefined
  const entry = decodeEntry(key, result.value)
  return entry?.kind === kinds.version ? entry.version : undefined
}

/**
 * Finds or makes the version of a namespace or tag. Invalidating deletes it; the next one has another id, so that
 * every entry made under the old one is void, without a scan and without a counter that could come back.
 *
 * @throws what the store throws
 */
export async function ensureVersion(store: CacheStore, reader: Reader, key: string): Promise<number> {
  const id = randomId()
  const bytes = encodeEntry(key, { ...emptyEntry, kind: kinds.version, version: id })
  if (await store.add(key, bytes, { ttlMs: versionTtlMs })) return id
  const [result] = await reader.read([key])
  if (result instanceof Error) throw result
  const known = versionIn(key, result)
  if (known !== undefined) return known
  // Deleted once more in between, or unreadable: either way a new id voids whatever there was.
  await store.set(key, bytes, { ttlMs: versionTtlMs })
  return id
}
