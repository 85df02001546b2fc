import { GrantStoreUnavailableError } from './errors.ts'
import type { GrantVersion } from './grant-store.ts'

/** Something loaded, with the times of the monotonic clock up to which it may be used. */
export interface Kept {
  readonly version: GrantVersion
  /** Until then it is used without asking; later only when a new load fails. */
  readonly reuseUntil: number
  /** From then on it is not used at all. */
  readonly staleAt: number
}

/** After a failed load, what is kept is used for so long before the next attempt. */
const pauseAfterFailureMs = 1000

interface Slot<Entry> {
  readonly entry: Entry
  pausedUntil: number
}

interface Flight<Entry> {
  readonly floor: GrantVersion
  readonly entry: Promise<Entry>
}

type Load<Entry> = (key: string, floor: GrantVersion, kept: Entry | undefined) => Promise<Entry>

/** Keeps what was loaded, least recently used first to go, with one load at a time for each key. */
export class KeptEntries<Entry extends Kept> {
  readonly #load: Load<Entry>
  readonly #maxEntries: number
  readonly #slots = new Map<string, Slot<Entry>>()
  readonly #flights = new Map<string, Flight<Entry>>()

  constructor(options: { maxEntries: number; load: Load<Entry> }) {
    this.#load = options.load
    this.#maxEntries = options.maxEntries
  }

  /** Returns the entry that can be used at once, if there is one. */
  peek(key: string, floor: GrantVersion): Entry | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined || slot.entry.version < floor) return undefined
    const now = performance.now()
    if (now >= slot.entry.reuseUntil && now >= Math.min(slot.pausedUntil, slot.entry.staleAt)) return undefined
    this.#slots.delete(key)
    this.#slots.set(key, slot)
    return slot.entry
  }

  /** Loads, and keeps, an entry no older than `floor`. Falls back to what is kept while that is good enough. */
  async get(key: string, floor: GrantVersion): Promise<Entry> {
    try {
      const entry = await this.#flightFor(key, floor).entry
      if (entry.version >= floor) return entry
      throw new GrantStoreUnavailableError(`The store answered from version ${entry.version}, older than ${floor}`)
    } catch (error) {
      const slot = this.#slots.get(key)
      const now = performance.now()
      if (slot === undefined || slot.entry.version < floor || now >= slot.entry.staleAt) throw error
      slot.pausedUntil = now + pauseAfterFailureMs
      return slot.entry
    }
  }

  /**
   * Keeps an entry, unless a newer one has come while it was loaded. What was there `before` gives way to an older one
   * too: then the database was restored.
   */
  put(key: string, entry: Entry, before?: Entry): void {
    const kept = this.#slots.get(key)
    if (kept !== undefined && kept.entry !== before && kept.entry.version > entry.version) return
    this.#slots.delete(key)
    if (entry.reuseUntil <= performance.now()) return
    this.#slots.set(key, { entry, pausedUntil: 0 })
    if (this.#slots.size > this.#maxEntries) this.#slots.delete(this.#slots.keys().next().value!)
  }

  /** Joins a load under way, unless it began before the change that raised the floor: it may not have seen it. */
  #flightFor(key: string, floor: GrantVersion): Flight<Entry> {
    const underWay = this.#flights.get(key)
    if (underWay !== undefined && underWay.floor >= floor) return underWay
    const entry = this.#loadAndKeep(key, floor).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    })
    const flight = { floor, entry }
    this.#flights.set(key, flight)
    return flight
  }

  async #loadAndKeep(key: string, floor: GrantVersion): Promise<Entry> {
    const before = this.#slots.get(key)?.entry
    const entry = await this.#load(key, floor, before)
    this.put(key, entry, before)
    return entry
  }
}
