import { AsyncLocalStorage } from 'node:async_hooks'
import { LoadDeadlockError } from './errors.ts'
import type { EncodedValue } from './value.ts'

/** One value on its way, shared by all callers of this process who may share it. */
export interface Flight {
  readonly key: string
  /** The start of its namespace's keys. */
  readonly base: string
  /** Its tags, as in an entry. */
  readonly tags: readonly string[]
  /** The flight whose loader asked for this one. */
  readonly parent: Flight | undefined
  /** The flights its loader waits for. */
  readonly waitsFor: Set<Flight>
  /** Whether the loader has been called: who comes later may know of a newer state than it reads. */
  loading: boolean
  /** Whether it is over. What its loader has left running (a pool, a timer) still runs in its context. */
  done: boolean
  /** The lease in the store under which it loads. */
  leaseId: number | undefined
  result: Promise<EncodedValue | undefined>
}

interface Globals {
  [running]?: AsyncLocalStorage<Flight>
}
const running = Symbol.for('countersign.cache-adapter.running-load')
const globals = globalThis as Globals
// One per process, so that loaders that go through two copies of this package are still seen.
const current = (globals[running] ??= new AsyncLocalStorage<Flight>())

/** The flights of one set of caches. */
export class Flights {
  readonly #byKey = new Map<string, Flight>()

  find(key: string): Flight | undefined {
    return this.#byKey.get(key)
  }

  /**
   * Starts a flight, and forgets it when it is over.
   */
  start(
    key: string,
    base: string,
    tags: readonly string[],
    run: (flight: Flight) => Promise<EncodedValue | undefined>,
  ): Flight {
    const parent = current.getStore()
    const flight: Flight = {
      key,
      base,
      tags,
      parent,
      waitsFor: new Set(),
      loading: false,
      done: false,
      leaseId: undefined,
      result: Promise.resolve(undefined),
    }
    this.#byKey.set(key, flight)
    flight.result = current.run(flight, run, flight).finally(() => {
      flight.done = true
      if (this.#byKey.get(key) === flight) this.#byKey.delete(key)
    })
    // Whoever waits hears of the failure; a refresh in the background has nobody waiting.
    flight.result.catch(() => undefined)
    return flight
  }

  /** Waits for a flight; a circle of loaders that wait for each other is refused by name. */
  async wait(flight: Flight): Promise<EncodedValue | undefined> {
    const waiting = current.getStore()
    if (!waiting || waiting.done) return flight.result
    const circle = pathTo(flight, waiting)
    if (circle) throw new LoadDeadlockError([waiting.key, ...circle])
    waiting.waitsFor.add(flight)
    try {
      return await flight.result
    } finally {
      waiting.waitsFor.delete(flight)
    }
  }

  /** Lets running loads end for those who wait, but nobody join them any more: what they read may be outdated. */
  detach(isOutdated: (flight: Flight) => boolean): void {
    for (const [key, flight] of this.#byKey) if (isOutdated(flight)) this.#byKey.delete(key)
  }
}

/** Refuses a loader that asks for the very key it is loading. */
export function refuseSelfLoad(key: string): void {
  const keys: string[] = []
  let flight = current.getStore()
  while (flight && !flight.done) {
    keys.unshift(flight.key)
    if (flight.key === key) throw new LoadDeadlockError([...keys, key])
    // Who does not wait for this flight, because it refreshes in the background, is not held up by it.
    flight = flight.parent?.waitsFor.has(flight) ? flight.parent : undefined
  }
}

/** Finds the chain of waits from one flight to another: through what each waits for. */
function pathTo(from: Flight, target: Flight, seen = new Set<Flight>()): string[] | undefined {
  if (from === target) return [from.key]
  if (seen.has(from)) return undefined
  seen.add(from)
  for (const next of from.waitsFor) {
    const path = pathTo(next, target, seen)
    if (path) return [from.key, ...path]
  }
  return undefined
}
