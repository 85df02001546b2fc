import { encodeEntry, emptyEntry, kinds, type Entry } from './entry.ts'
import { CacheClosedError, CacheValueTooLargeError, InvalidCacheInputError } from './errors.ts'
import { refuseSelfLoad, type Flight } from './flight.ts'
import { storageKey } from './key.ts'
import { obtain, refresh, type LoadContext, type Loader } from './load.ts'
import { lookUp, lookUpMany, type Found, type Realm } from './lookup.ts'
import { Near, type NearCache } from './near.ts'
import { freshUntil, planOf, type EntryOptions, type LoadOptions, type Plan } from './options.ts'
import type { EncodedValue } from './value.ts'
import { ensureVersion, versionIn } from './version.ts'

/** A typed part of the cache with keys of its own. */
export interface Cache<V> {
  /** Reads a value; undefined on a miss, for what is known to be absent, and when the store fails. */
  get(key: string): Promise<V | undefined>
  /** Returns the value that is at hand in this process, at once; only in a namespace with `near`, and frozen. */
  peek(key: string): V | undefined
  /** Reads many values in one round trip; what is missing is not in the map. */
  getMany(keys: readonly string[]): Promise<ReadonlyMap<string, V>>
  /**
   * Stores a value. When the store fails the value is dropped, with an event.
   *
   * @throws INVALID_CACHE_INPUT, CACHE_VALUE_TOO_LARGE (the old value stays), CACHE_CLOSED
   */
  set(key: string, value: V, options?: EntryOptions): Promise<void>
  /**
   * Reads a value, or loads and stores it. All callers of all processes who miss at the same time share one load, a
   * value that is invalidated while it is loaded is not stored, and a failing store only makes it slower.
   *
   * @param load - brings the value; undefined means that there is none, which is remembered too
   * @throws what `load` throws, LOAD_TIMEOUT, LOAD_DEADLOCK, INVALID_CACHE_INPUT, CACHE_CLOSED
   */
  getOrLoad(
    key: string,
    load: (context: LoadContext<V>) => Promise<V | undefined> | V | undefined,
    options?: LoadOptions,
  ): Promise<V | undefined>
  /** Deletes one value. */
  delete(key: string): Promise<void>
  /** Voids every value that names the tag, in one write, however many there are. */
  invalidateTag(tag: string): Promise<void>
  /** Voids every value of this namespace, in one write; no other namespace is touched. */
  clear(): Promise<void>
  /** Wraps a function so that it answers through `getOrLoad`; `key` makes the key of its arguments. */
  cached<A extends readonly unknown[]>(
    load: (...args: A) => Promise<V | undefined>,
    options: LoadOptions & { key: (...args: A) => string },
  ): (...args: A) => Promise<V | undefined>
}

const setAttempts = 3

export class NamespaceCache<V> implements Cache<V> {
  readonly #realm: Realm
  readonly #defaults: LoadOptions
  readonly #near: Near | undefined
  /** The namespace's version as last seen; `set` checks it in the round trip that stores. */
  #lastVersion: number | undefined

  constructor(realm: Realm, defaults: LoadOptions, near: NearCache | undefined) {
    this.#realm = realm
    this.#defaults = defaults
    this.#near = near && new Near(near)
    planOf(realm.base, defaults, undefined)
  }

  peek(key: string): V | undefined {
    this.#realm.assertOpen()
    const value = this.#near?.get(key)
    if (value !== undefined) this.#realm.recorder.hitNear()
    return value as V | undefined
  }

  async get(key: string): Promise<V | undefined> {
    const realm = this.#realm
    const near = this.peek(key)
    if (near !== undefined) return near
    const at = storageKey(realm.base, 'k', key)
    const generation = this.#near?.generation ?? 0
    const found = await lookUp(realm, at)
    this.#keepNear(key, found, generation)
    return this.#valueOf(at, found) as V | undefined
  }

  async getMany(keys: readonly string[]): Promise<ReadonlyMap<string, V>> {
    const realm = this.#realm
    realm.assertOpen()
    const unique = [...new Set(keys)]
    const places = unique.map(key => storageKey(realm.base, 'k', key))
    const found = await lookUpMany(realm, places, [])
    const values = new Map<string, V>()
    found.forEach((one, index) => {
      const value = this.#valueOf(places[index]!, one)
      if (value !== undefined) values.set(unique[index]!, value as V)
    })
    return values
  }

  async set(key: string, value: V, options?: EntryOptions): Promise<void> {
    const realm = this.#realm
    realm.assertOpen()
    const at = storageKey(realm.base, 'k', key)
    const plan = planOf(realm.base, this.#defaults, options)
    const start = realm.clock.now()
    const encoding = realm.codec.encode(value)
    const encoded = encoding instanceof Promise ? await encoding : encoding
    this.#near?.void()
    try {
      await this.#store(at, encoded, plan, start)
      this.#near?.void()
    } catch (error) {
      if (error instanceof CacheClosedError) throw error
      if (error instanceof CacheValueTooLargeError) {
        realm.recorder.refused(at, 'too-large')
        throw error
      }
      realm.recorder.failed(at, 'set', error)
      // What is stored is older than what was just set, or may still become so: it is not known what has arrived.
      realm.invalidations.postpone(at)
    }
  }

  async getOrLoad(
    key: string,
    load: (context: LoadContext<V>) => Promise<V | undefined> | V | undefined,
    options?: LoadOptions,
  ): Promise<V | undefined> {
    const realm = this.#realm
    const near = this.peek(key)
    if (near !== undefined) return near
    const at = storageKey(realm.base, 'k', key)
    const plan = planOf(realm.base, this.#defaults, options)
    refuseSelfLoad(at)
    const generation = this.#near?.generation ?? 0
    const found = await lookUp(realm, at, plan.tags)
    this.#keepNear(key, found, generation)
    const loader = load as Loader
    if (found.state === 'stale') return (await this.#staleOrNew(at, plan, found, loader)) as V | undefined
    const value = this.#valueOf(at, found)
    if (found.state === 'hit' || found.state === 'absent') return value as V | undefined
    const flight =
      this.#joinable(at, found) ?? this.#start(at, plan, flight => obtain(realm, flight, plan, found, loader))
    return (await this.#arrival(flight)) as V | undefined
  }

  async delete(key: string): Promise<void> {
    const realm = this.#realm
    realm.assertOpen()
    const at = storageKey(realm.base, 'k', key)
    await this.#invalidate(at, flight => flight.key === at)
  }

  async invalidateTag(tag: string): Promise<void> {
    const realm = this.#realm
    realm.assertOpen()
    const at = storageKey(realm.base, 't', tag)
    const name = at.slice(realm.base.length)
    await this.#invalidate(at, flight => flight.base === realm.base && flight.tags.includes(name))
  }

  async clear(): Promise<void> {
    const realm = this.#realm
    realm.assertOpen()
    await this.#invalidate(realm.versionKey, flight => flight.base === realm.base)
  }

  cached<A extends readonly unknown[]>(
    load: (...args: A) => Promise<V | undefined>,
    options: LoadOptions & { key: (...args: A) => string },
  ): (...args: A) => Promise<V | undefined> {
    return async (...args) => this.getOrLoad(options.key(...args), () => load(...args), options)
  }

  /** What is at hand or being loaded is given up before the deletion and, for what began meanwhile, after it. */
  async #invalidate(at: string, isOutdated: (flight: Flight) => boolean): Promise<void> {
    const { flights, invalidations } = this.#realm
    this.#near?.void()
    flights.detach(isOutdated)
    await invalidations.delete(at)
    this.#near?.void()
    flights.detach(isOutdated)
  }

  #keepNear(key: string, found: Found, generation: number): void {
    if (!this.#near || found.state !== 'hit') return
    this.#near.keep(key, found.value, found.entry.freshUntil - this.#realm.clock.now(), generation)
  }

  #valueOf(at: string, found: Found): unknown {
    const { recorder } = this.#realm
    if (found.state === 'hit' || found.state === 'absent') recorder.hit(at)
    else if (found.state === 'stale') recorder.stale(at)
    else recorder.miss(at)
    return found.state === 'hit' || found.state === 'stale' ? found.value : undefined
  }

  /**
   * A load may be shared unless it began before something that this caller may already know of. If its lease is still
   * in place, no invalidation has come between; if the store cannot be asked, sharing protects what is behind it.
   */
  #joinable(at: string, found: Found): Flight | undefined {
    const flight = this.#realm.flights.find(at)
    if (!flight?.loading || found.state === 'unavailable') return flight
    const leaseId = found.state === 'leased' ? found.leaseId : found.state === 'stale' ? found.entry.leaseId : 0
    return leaseId === flight.leaseId ? flight : undefined
  }

  #start(at: string, plan: Plan, run: (flight: Flight) => Promise<EncodedValue | undefined>): Flight {
    return this.#realm.flights.start(at, this.#realm.base, plan.tags, run)
  }

  /** Waits for a flight and makes this caller's own copy of what it brings. */
  async #arrival(flight: Flight): Promise<unknown> {
    const encoded = await this.#realm.flights.wait(flight)
    if (!encoded) return undefined
    const decoded = await this.#realm.codec.decode(encoded)
    if (!decoded.ok) throw new InvalidCacheInputError('value', `does not fit its schema: ${decoded.issues}`)
    return decoded.value
  }

  async #staleOrNew(at: string, plan: Plan, found: Found & { state: 'stale' }, load: Loader): Promise<unknown> {
    const realm = this.#realm
    realm.recorder.stale(at)
    const leased = found.entry.leaseUntil > realm.clock.now()
    const flight =
      this.#joinable(at, found) ??
      (leased ? undefined : this.#start(at, plan, started => refresh(realm, started, plan, found, load)))
    if (!flight || plan.softTimeoutMs === 0) return found.value
    let timer: NodeJS.Timeout | undefined
    const soon = new Promise<unknown>(resolve => {
      timer = setTimeout(() => {
        resolve(found.value)
      }, plan.softTimeoutMs)
    })
    try {
      // A refresh that fails is in the events; the stale value is what grace is for.
      return await Promise.race([this.#arrival(flight).catch(() => found.value), soon])
    } finally {
      clearTimeout(timer)
    }
  }

  async #store(at: string, encoded: EncodedValue, plan: Plan, start: number): Promise<void> {
    const { store, reader, base } = this.#realm
    const versionAt = this.#realm.versionKey
    const tags =
      plan.tags.length === 0
        ? emptyEntry.tags
        : await Promise.all(plan.tags.map(async key => ({ key, id: await this.#currentVersion(base + key) })))
    const fresh = freshUntil(start, plan)
    const entry: Entry = {
      ...emptyEntry,
      ...encoded,
      kind: kinds.value,
      tags,
      freshUntil: fresh,
      expiresAt: fresh + plan.graceMs,
    }
    const ttlMs = Math.max(1, plan.ttlMs + plan.graceMs)
    for (let attempt = 1; ; attempt += 1) {
      const version = (this.#lastVersion ??= await this.#currentVersion(versionAt))
      // Asked for first, so that both leave in one packet.
      const reading = reader.read([versionAt])
      await store.set(at, encodeEntry(at, { ...entry, version }), { ttlMs })
      const [seen] = await reading
      if (seen instanceof Error) throw seen
      if (versionIn(versionAt, seen) === version) return
      // Somebody cleared the namespace: what was just stored is void, so it is stored again under the new version.
      this.#lastVersion = undefined
      if (attempt === setAttempts) throw new Error('the namespace is cleared again and again')
    }
  }

  async #currentVersion(at: string): Promise<number> {
    const { store, reader } = this.#realm
    const [result] = await reader.read([at])
    if (result instanceof Error) throw result
    return versionIn(at, result) ?? ensureVersion(store, reader, at)
  }
}
