import { setTimeout as sleep } from 'node:timers/promises'
import { emptyEntry, encodeEntry, kinds, type Entry, type TagVersion } from './entry.ts'
import { CacheValueTooLargeError, LoadTimeoutError } from './errors.ts'
import type { Flight } from './flight.ts'
import { lookUp, type Found, type Realm, type SeenVersions } from './lookup.ts'
import { freshUntil, type Plan } from './options.ts'
import type { CasToken } from './store.ts'
import type { EncodedValue } from './value.ts'
import { ensureVersion, randomId } from './version.ts'

/** What a loader is told. */
export interface LoadContext<V> {
  /** Aborted when the load is given up. */
  readonly signal: AbortSignal
  /** The value that the new one will replace, if there is one within its grace. */
  readonly stale: V | undefined
}

export type Loader = (context: LoadContext<unknown>) => unknown

interface Lease {
  readonly id: number
  readonly cas: CasToken
  readonly version: number
  readonly tags: readonly TagVersion[]
}

// The lease outlives the load by what memcached's whole seconds may cost.
const leaseMarginMs = 2000
const pollMs = { min: 5, max: 20 }

/**
 * Brings a value that was not found: by loading it under a lease, or by waiting for whoever holds the lease.
 *
 * The lease stands under the data key itself, as in Nishtala et al., "Scaling Memcache at Facebook" (NSDI 2013), made of
 * memcached's compare-and-swap: a deletion removes it, so that a fill which was overtaken finds nothing to replace.
 */
export async function obtain(
  realm: Realm,
  flight: Flight,
  plan: Plan,
  first: Found,
  load: Loader,
): Promise<EncodedValue | undefined> {
  const giveUpAt = performance.now() + plan.loadTimeoutMs
  let announced = false
  for (let found = first; ; found = await lookUp(realm, flight.key, plan.tags)) {
    if (found.state === 'hit' || found.state === 'stale') return found.entry
    if (found.state === 'absent') return undefined
    if (found.state === 'unavailable' || performance.now() >= giveUpAt) break
    if (found.state === 'leased') {
      if (!announced) realm.recorder.leaseWait(flight.key)
      announced = true
      await sleep(pollMs.min + Math.random() * (pollMs.max - pollMs.min))
      continue
    }
    const lease = await acquire(realm, flight.key, plan, found.cas, found.seen, undefined)
    if (lease === 'taken') continue
    if (!lease) break
    return loadAndStore(realm, flight, plan, lease, undefined, load)
  }
  return loadAndStore(realm, flight, plan, undefined, undefined, load)
}

/** Replaces a stale value, if nobody else does: whoever writes the lease into the entry loads. */
export async function refresh(
  realm: Realm,
  flight: Flight,
  plan: Plan,
  found: Found & { state: 'stale' },
  load: Loader,
): Promise<EncodedValue | undefined> {
  const lease = await acquire(realm, flight.key, plan, found.cas, found.seen, found.entry)
  if (!lease || lease === 'taken') return found.entry
  return loadAndStore(realm, flight, plan, lease, found.value, load)
}

async function acquire(
  realm: Realm,
  key: string,
  plan: Plan,
  cas: CasToken | undefined,
  seen: SeenVersions,
  stale: Entry | undefined,
): Promise<Lease | 'taken' | undefined> {
  try {
    const [version, tags] = await Promise.all([
      seen.namespace ?? ensureVersion(realm.store, realm.reader, realm.versionKey),
      Promise.all(
        plan.tags.map(async tag => {
          const id = seen.tags.get(tag) ?? (await ensureVersion(realm.store, realm.reader, realm.base + tag))
          return { key: tag, id }
        }),
      ),
    ])
    const id = randomId()
    const now = realm.clock.now()
    const leaseUntil = Math.ceil(now + plan.loadTimeoutMs)
    const expiresAt = stale?.expiresAt ?? leaseUntil
    const ttlMs = stale ? Math.max(1, expiresAt - now) : plan.loadTimeoutMs + leaseMarginMs
    const entry = stale ?? { ...emptyEntry, kind: kinds.lease, version, tags, expiresAt }
    const bytes = encodeEntry(key, { ...entry, leaseId: id, leaseUntil })
    if (!cas) {
      const added = await realm.store.add(key, bytes, { ttlMs })
      return added ? { id, cas: added, version, tags } : 'taken'
    }
    const result = await realm.store.set(key, bytes, { ttlMs, ifUnchanged: cas })
    return result.stored ? { id, cas: result.cas, version, tags } : 'taken'
  } catch (error) {
    realm.recorder.failed(key, 'set', error)
    return undefined
  }
}

async function loadAndStore(
  realm: Realm,
  flight: Flight,
  plan: Plan,
  lease: Lease | undefined,
  stale: unknown,
  load: Loader,
): Promise<EncodedValue | undefined> {
  flight.loading = true
  flight.leaseId = lease?.id
  const start = realm.clock.now()
  let encoded: EncodedValue | undefined
  try {
    const value = await callLoader(realm, flight.key, plan, stale, load)
    encoded = value === undefined ? undefined : await realm.codec.encode(value)
  } catch (error) {
    // Without a stale value to serve, nobody should wait for a lease whose holder has failed.
    if (lease && stale === undefined) await withdraw(realm, flight.key, lease)
    throw error
  }
  if (lease) await fill(realm, flight.key, plan, lease, encoded, start)
  return encoded
}

async function callLoader(realm: Realm, key: string, plan: Plan, stale: unknown, load: Loader): Promise<unknown> {
  const controller = new AbortController()
  const startedAt = performance.now()
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new LoadTimeoutError(key, plan.loadTimeoutMs)
      controller.abort(error)
      reject(error)
    }, plan.loadTimeoutMs)
  })
  try {
    const value = await Promise.race([Promise.resolve(load({ signal: controller.signal, stale })), timeout])
    realm.recorder.loaded(key, performance.now() - startedAt)
    return value
  } catch (error) {
    realm.recorder.loadFailed(key, performance.now() - startedAt, error)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Stores what was loaded, unless the lease was voided in the meantime. */
async function fill(
  realm: Realm,
  key: string,
  plan: Plan,
  lease: Lease,
  encoded: EncodedValue | undefined,
  start: number,
): Promise<void> {
  const fresh = encoded ? freshUntil(start, plan) : Math.floor(start + plan.absentTtlMs)
  const expiresAt = encoded ? fresh + plan.graceMs : fresh
  // Never longer than planned, even if the clock was set back while the loader ran.
  const ttlMs = Math.min(expiresAt - realm.clock.now(), plan.ttlMs + plan.graceMs)
  if (ttlMs < 1) {
    realm.recorder.refused(key, 'too-slow')
    await withdraw(realm, key, lease)
    return
  }
  const { version, tags } = lease
  const kind = encoded ? kinds.value : kinds.absent
  const bytes = encodeEntry(key, { ...emptyEntry, kind, version, tags, ...encoded, freshUntil: fresh, expiresAt })
  try {
    const result = await realm.store.set(key, bytes, { ttlMs, ifUnchanged: lease.cas })
    if (!result.stored) realm.recorder.refused(key, 'overtaken')
  } catch (error) {
    if (!(error instanceof CacheValueTooLargeError)) {
      realm.recorder.failed(key, 'set', error)
      return
    }
    realm.recorder.refused(key, 'too-large')
    await withdraw(realm, key, lease)
  }
}

/** Ends a lease without a value: an entry that is over, which the next one may replace at once. */
async function withdraw(realm: Realm, key: string, lease: Lease): Promise<void> {
  try {
    const over = encodeEntry(key, { ...emptyEntry, kind: kinds.lease })
    await realm.store.set(key, over, { ttlMs: 1000, ifUnchanged: lease.cas })
  } catch (error) {
    realm.recorder.failed(key, 'set', error)
  }
}
