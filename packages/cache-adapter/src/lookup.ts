import type { Clock } from './clock.ts'
import type { ValueCodec } from './codec.ts'
import { decodeEntry, kinds, type Entry } from './entry.ts'
import type { Flights } from './flight.ts'
import type { Invalidations } from './invalidations.ts'
import type { Reader, ReadResult } from './reader.ts'
import type { Recorder } from './stats.ts'
import type { CacheStore, CasToken } from './store.ts'
import { versionIn } from './version.ts'

/** Everything that one namespace works with. */
export interface Realm {
  /** The start of all its keys. */
  readonly base: string
  readonly store: CacheStore
  readonly reader: Reader
  readonly clock: Clock
  readonly flights: Flights
  readonly invalidations: Invalidations
  readonly recorder: Recorder
  readonly codec: ValueCodec
  /** @throws CACHE_CLOSED after close() */
  assertOpen(): void
}

/** The versions as read; undefined where none is stored. Tags by their key in the entry. */
export interface SeenVersions {
  readonly namespace: number | undefined
  readonly tags: ReadonlyMap<string, number | undefined>
}

/** What a read found. Only `hit` and `stale` have a usable value, decoded anew for each read. */
export type Found =
  | { readonly state: 'hit'; readonly entry: Entry; readonly value: unknown }
  | {
      readonly state: 'stale'
      readonly entry: Entry
      readonly value: unknown
      readonly cas: CasToken
      readonly seen: SeenVersions
    }
  | { readonly state: 'absent' }
  | { readonly state: 'leased'; readonly leaseId: number; readonly cas: CasToken; readonly seen: SeenVersions }
  | { readonly state: 'miss'; readonly cas: CasToken | undefined; readonly seen: SeenVersions }
  | { readonly state: 'unavailable'; readonly error: unknown }

const noTags: readonly string[] = []

export function versionKey(realm: Realm): string {
  return `${realm.base}v`
}

/** Reads one key with the versions it depends on, in one batch if its tags are known beforehand. */
export async function lookUp(realm: Realm, key: string, tags: readonly string[] = noTags): Promise<Found> {
  const [found] = await lookUpMany(realm, [key], tags)
  return found!
}

/** Reads many keys: one batch, and a second one for the tags of their entries that were not named beforehand. */
export async function lookUpMany(realm: Realm, keys: readonly string[], tags: readonly string[]): Promise<Found[]> {
  const versionAt = versionKey(realm)
  const tagKeys = tags.length === 0 ? tags : tags.map(tag => realm.base + tag)
  const wanted = [versionAt, ...tagKeys, ...keys]
  const results = await realm.reader.read(wanted)
  const versions = new Map<string, ReadResult>()
  const more = new Set<string>()
  for (let index = 0; index <= tagKeys.length; index += 1) versions.set(wanted[index]!, results[index])
  const entries = keys.map((key, index) => {
    const stored = results[index + 1 + tagKeys.length]
    if (!stored || stored instanceof Error) return undefined
    const entry = decodeEntry(key, stored.value)
    if (!entry) realm.recorder.failed(key, 'get', new Error('the stored bytes are not what was written'))
    for (const tag of entry?.tags ?? []) if (!versions.has(realm.base + tag.key)) more.add(realm.base + tag.key)
    return entry
  })
  if (more.size > 0) {
    const names = [...more]
    const answers = await realm.reader.read(names)
    names.forEach((name, index) => versions.set(name, answers[index]))
  }
  const found = keys.map(async (key, index) => {
    const entry = entries[index]
    const depends = [versionAt, ...tagKeys, ...(entry?.tags ?? []).map(tag => realm.base + tag.key)]
    const stored = results[index + 1 + tagKeys.length]
    const error = stored instanceof Error ? stored : depends.map(name => versions.get(name)).find(isError)
    if (error) return unavailable(realm, key, error)
    if (realm.invalidations.cover([key, ...depends]))
      return unavailable(realm, key, new Error('its deletion is pending'))
    const seen: SeenVersions = {
      namespace: versionIn(versionAt, versions.get(versionAt)),
      tags: new Map(depends.slice(1).map(name => [name.slice(realm.base.length), versionIn(name, versions.get(name))])),
    }
    return judge(realm, key, entry, (stored as { cas: CasToken } | undefined)?.cas, seen)
  })
  return Promise.all(found)
}

function isError(result: ReadResult): result is Error {
  return result instanceof Error
}

function unavailable(realm: Realm, key: string, error: Error): Found {
  realm.recorder.failed(key, 'get', error)
  return { state: 'unavailable', error }
}

/** Decides what an entry is worth now. */
async function judge(
  realm: Realm,
  key: string,
  entry: Entry | undefined,
  cas: CasToken | undefined,
  seen: SeenVersions,
): Promise<Found> {
  const now = realm.clock.now()
  if (!entry || !cas || now >= entry.expiresAt || !isCurrent(entry, seen)) return { state: 'miss', cas, seen }
  switch (entry.kind) {
    case kinds.absent:
      return { state: 'absent' }
    case kinds.lease:
      return { state: 'leased', leaseId: entry.leaseId, cas, seen }
    case kinds.value: {
      const decoded = await realm.codec.decode(entry)
      if (!decoded.ok) {
        realm.recorder.refused(key, 'schema')
        return { state: 'miss', cas, seen }
      }
      if (now < entry.freshUntil) return { state: 'hit', entry, value: decoded.value }
      return { state: 'stale', entry, value: decoded.value, cas, seen }
    }
    case kinds.version:
      return { state: 'miss', cas, seen }
  }
}

function isCurrent(entry: Entry, seen: SeenVersions): boolean {
  if (entry.version !== seen.namespace) return false
  return entry.tags.every(tag => seen.tags.get(tag.key) === tag.id)
}
