import type {
  GrantCache,
  GrantChange,
  GrantChangeListener,
  GrantChanges,
  GrantStore,
  SubjectRecord,
} from '@countersign/rbac-core'

export type Fault = 'none' | 'down' | 'hang'

const never = new Promise<never>(() => undefined)

/** A store that can be taken down, and that counts what it is asked. */
export interface ChaosStore extends GrantStore {
  fault: Fault
  /** Waited for between reading and answering: a load that is late. */
  late: Promise<unknown> | undefined
  readonly asked: { policy: number; subject: number; version: number }
}

export function chaosStore(store: GrantStore): ChaosStore {
  const asked = { policy: 0, subject: 0, version: 0 }
  async function disturb<Value>(read: () => Promise<Value>): Promise<Value> {
    if (chaos.fault === 'down') throw new Error('connection refused')
    if (chaos.fault === 'hang') return never
    const value = await read()
    await chaos.late
    return value
  }
  const chaos: ChaosStore = {
    fault: 'none',
    late: undefined,
    asked,
    loadPolicy() {
      asked.policy += 1
      return disturb(() => store.loadPolicy())
    },
    loadSubject(id) {
      asked.subject += 1
      return disturb(() => store.loadSubject(id))
    },
    loadHolders: (permissions, options) => disturb(async () => store.loadHolders?.(permissions, options) ?? []),
    loadVersion() {
      asked.version += 1
      return disturb(() => store.loadVersion())
    },
  }
  return chaos
}

/** A feed that can lose messages and its connection. */
export interface ChaosFeed extends GrantChanges {
  deaf: boolean
  readonly closed: () => boolean
  gap(): void
  state(state: 'connected' | 'disconnected'): void
}

export function chaosFeed(changes: GrantChanges): ChaosFeed {
  let listener: GrantChangeListener | undefined
  let closed = false
  const feed: ChaosFeed = {
    deaf: false,
    closed: () => closed,
    gap: () => listener?.onGap(),
    state: state => listener?.onState(state),
    async subscribe(given) {
      listener = given
      const subscription = await changes.subscribe({
        onChange: (change: GrantChange) => {
          if (!feed.deaf) given.onChange(change)
        },
        onGap: () => given.onGap(),
        onState: state => given.onState(state),
      })
      return {
        async close() {
          closed = true
          await subscription.close()
        },
      }
    },
  }
  return feed
}

/** A shared cache over a map. It keeps values as JSON, as a real one would. */
export interface ChaosCache extends GrantCache {
  fault: Fault
  readonly entries: Map<string, { json: string; expiresAt: number }>
  readonly ttls: number[]
}

export function chaosCache(): ChaosCache {
  const entries = new Map<string, { json: string; expiresAt: number }>()
  const ttls: number[] = []
  async function disturb(): Promise<void> {
    if (cache.fault === 'down') throw new Error('cache is down')
    if (cache.fault === 'hang') await never
  }
  const cache: ChaosCache = {
    fault: 'none',
    entries,
    ttls,
    async getOrLoad(key, load, { ttlMs }) {
      await disturb()
      ttls.push(ttlMs)
      const found = entries.get(key)
      if (found && found.expiresAt > performance.now()) return JSON.parse(found.json) as SubjectRecord
      const expiresAt = performance.now() + ttlMs
      const value = await load()
      if (value !== undefined) entries.set(key, { json: JSON.stringify(value), expiresAt })
      return value
    },
    async delete(key) {
      await disturb()
      entries.delete(key)
    },
  }
  return cache
}
