import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createCaches, type Caches, type CachesOptions, type CacheStore } from '../src/index.ts'
import { memoryStore } from '../src/memory/index.ts'

export interface Scene {
  readonly caches: Caches
  readonly store: CacheStore
  /** Moves the clock of the caches and of the store. */
  advance(ms: number): void
  /** Other caches over the same store and clock, as another process has them. */
  another(options?: Partial<CachesOptions>): Caches
}

/** Caches over a memory store, with a clock that only the test moves. */
export function setUp(options: Partial<CachesOptions> = {}): Scene {
  let now = 1_800_000_000_000
  const clock = { now: () => now }
  const store = options.store ?? memoryStore({ now: clock.now })
  const another = (own: Partial<CachesOptions> = {}): Caches =>
    createCaches({ prefix: 'app', schemaVersion: 1, clock, ...options, ...own, store: own.store ?? store })
  return { caches: another(), store, advance: ms => (now += ms), another }
}

/** Collects what a channel of this package publishes while `run` runs. */
export async function eventsOf<T>(event: string, run: () => Promise<T>): Promise<Record<string, unknown>[]> {
  const seen: Record<string, unknown>[] = []
  const listen = (message: unknown): void => void seen.push(message as Record<string, unknown>)
  subscribe(`countersign.cache-adapter.${event}`, listen)
  try {
    await run()
  } finally {
    unsubscribe(`countersign.cache-adapter.${event}`, listen)
  }
  return seen
}

/** A promise and the functions that settle it. */
export function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open!: (value: T) => void
  const promise = new Promise<T>(resolve => {
    open = resolve
  })
  return { promise, open }
}

/** A store whose calls can be made to fail or to hang, as a broken backend does. */
export function breakable(store: CacheStore): CacheStore & { broken: boolean } {
  const guarded =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (broken.broken) throw new Error('the store is down')
      return call(...args)
    }
  const broken = {
    broken: false,
    maxValueBytes: store.maxValueBytes,
    get: guarded((...args: Parameters<CacheStore['get']>) => store.get(...args)),
    set: guarded((...args: Parameters<CacheStore['set']>) => store.set(...args)),
    add: guarded((...args: Parameters<CacheStore['add']>) => store.add(...args)),
    delete: guarded((...args: Parameters<CacheStore['delete']>) => store.delete(...args)),
    close: () => store.close(),
  }
  return broken
}

/** An object whose calls are written down, with what they are called with. */
export function recorded<T extends object>(target: T, calls: string[]): T {
  return new Proxy(target, {
    get(object, name): unknown {
      const member: unknown = Reflect.get(object, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        calls.push(JSON.stringify([name, args.map(arg => (Buffer.isBuffer(arg) ? arg.toString('latin1') : arg))]))
        return Reflect.apply(member, object, args)
      }
    },
  })
}
