import type { Clock } from './clock.ts'
import type { Decoded, ValueCodec } from './codec.ts'
import { decodeEntry, kinds, type Entry, type TagVersion } from './entry.ts'
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
  /** Where its version is stored. */
  readonly versionKey: string
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
const noTagVersions: readonly TagVersion[] = []

/** Reads one key with the versions it depends on, in one batch if its tags are known beforehand. */
export async function lookUp(realm: Realm, key: string, tags: readonly string[] = noTags): Promise<Found> {
  const [found] = await lookUpMany(realm, [key], tags)
  return found!
}

/** Reads many keys: one batch, and a second one for the tags of their entries that were not named beforehand. */
export async function lookUpMany(
  realm: Realm,
  keys: readonly string[],
  tags: readonly string[],
): Promise<readonly Found[]> {
  const { base, reader } = realm
  const wanted = [realm.versionKey, ...keys]
  for (const tag of tags) wanted.push(base + tag)
  const results = await reader.read(wanted)
  const [version] = results
  const tagResults = new Map<string, ReadResult>()
  tags.forEach((tag, index) => tagResults.set(tag, results[1 + keys.length + index]))

  const entries = keys.map((key, index) => entryIn(realm, key, results[index + 1]))
  const more = entries.flatMap(entry => entry?.tags ?? noTagVersions).filter(tag => !tagResults.has(tag.key))
  if (more.length > 0) {
    const names = [...new Set(more.map(tag => tag.key))]
    const answers = await reader.read(names.map(name => base + name))
    names.forEach((name, index) => tagResults.set(name, answers[index]))
  }
  const seen = {
    namespace: versionIn(realm.versionKey, version),
    tags: new Map(Array.from(tagResults, ([tag, result]) => [tag, versionIn(base + tag, result)])),
  }
  const found = keys.map((key, index) => {
    const stored = results[index + 1]
    const entry = entries[index]
    const dependencies = entry && entry.tags.length > 0 ? [...tags, ...entry.tags.map(tag => tag.key)] : tags
    if (stored instanceof Error) return unavailable(realm, key, stored)
    if (version instanceof Error) return unavailable(realm, key, version)
    const error = dependencies.map(tag => tagResults.get(tag)).find(isError)
    if (error) return unavailable(realm, key, error)
    if (!realm.invalidations.isEmpty) {
      const names = [key, realm.versionKey, ...dependencies.map(tag => base + tag)]
      if (realm.invalidations.cover(names)) return unavailable(realm, key, new Error('its deletion is pending'))
    }
    return judge(realm, key, entry, stored?.cas, seen)
  })
  return found.every(isFound) ? found : Promise.all(found.map(async one => one))
}

function entryIn(realm: Realm, key: string, stored: ReadResult): Entry | undefined {
  if (!stored || stored instanceof Error) return undefined
  const entry = decodeEntry(key, stored.value)
  if (!entry) realm.recorder.failed(key, 'get', new Error('the stored bytes are not what was written'))
  return entry
}

function isFound(found: Found | Promise<Found>): found is Found {
  return !(found instanceof Promise)
}

function isError(result: ReadResult): result is Error {
  return result instanceof Error
}

function unavailable(realm: Realm, key: string, error: Error): Found {
  realm.recorder.failed(key, 'get', error)
  return { state: 'unavailable', error }
}

/** Decides what an entry is worth now. */
function judge(
  realm: Realm,
  key: string,
  entry: Entry | undefined,
  cas: CasToken | undefined,
  seen: SeenVersions,
): Found | Promise<Found> {
  const now = realm.clock.now()
  if (!entry || !cas || now >= entry.expiresAt || !isCurrent(entry, seen)) return { state: 'miss', cas, seen }
  if (entry.kind === kinds.absent) return { state: 'absent' }
  if (entry.kind === kinds.lease) return { state: 'leased', leaseId: entry.leaseId, cas, seen }
  if (entry.kind === kinds.version) return { state: 'miss', cas, seen }
  const stored = { entry, cas, seen, isFresh: now < entry.freshUntil }
  const decoded = realm.codec.decode(entry)
  return decoded instanceof Promise
    ? decoded.then(one => use(realm, key, stored, one))
    : use(realm, key, stored, decoded)
}

function use(
  realm: Realm,
  key: string,
  { entry, cas, seen, isFresh }: { entry: Entry; cas: CasToken; seen: SeenVersions; isFresh: boolean },
  decoded: Decoded,
): Found {
  if (!decoded.ok) {
    realm.recorder.refused(key, 'schema')
    return { state: 'miss', cas, seen }
  }
  if (isFresh) return { state: 'hit', entry, value: decoded.value }
  return { state: 'stale', entry, value: decoded.value, cas, seen }
}

function isCurrent(entry: Entry, seen: SeenVersions): boolean {
  if (entry.version !== seen.namespace) return false
  return entry.tags.every(tag => seen.tags.get(tag.key) === tag.id)
}
