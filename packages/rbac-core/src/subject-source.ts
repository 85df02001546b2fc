import { hash } from 'node:crypto'
import type { Access } from './access.ts'
import { loads, type LoadEvent } from './authorizer-events.ts'
import { within } from './deadline.ts'
import type { GrantCache, GrantStore, GrantVersion, SubjectRecord } from './grant-store.ts'
import type { Kept } from './kept-entries.ts'
import type { Leases } from './lease.ts'
import { keptFor, type StalenessBudget } from './staleness-budget.ts'

/** A subject as kept in this process. */
export interface KeptSubject extends Kept {
  /** Undefined for a subject the store does not know. */
  readonly record: SubjectRecord | undefined
  /** When the load began: the record's expiry times count from there. */
  readonly loadedAt: number
  /** The access made of this record last. */
  last?: { readonly end: number; readonly policy: unknown; readonly access: Access } | undefined
}

/** Loads subjects through the shared cache, or straight from the store. */
export interface SubjectSource {
  load(subjectId: string, floor: GrantVersion): Promise<KeptSubject>
  loadFromStore(subjectId: string): Promise<KeptSubject>
  /** Takes the subject out of the shared cache. */
  readonly forget: (subjectId: string) => Promise<void>
}

export function subjectSource(options: {
  store: GrantStore
  cache: GrantCache | undefined
  budget: StalenessBudget
  leases: Leases
}): SubjectSource {
  const { store, cache, budget, leases } = options

  async function loadFromStore(subjectId: string): Promise<KeptSubject> {
    const loadedAt = performance.now()
    const record = await store.loadSubject(subjectId)
    // Never kept: a subject that is created later must not have to wait.
    if (record === undefined) return { record, loadedAt, version: Infinity, reuseUntil: 0, staleAt: 0 }
    return { record, loadedAt, version: record.version, ...keptFor(leases, loadedAt, budget.fromStoreMs) }
  }

  async function loadFromCache(subjectId: string, floor: GrantVersion): Promise<KeptSubject | undefined> {
    if (cache === undefined || budget.sharedMs === 0) return undefined
    const key = subjectKey(subjectId)
    const loadedAt = performance.now()
    let waitsForStore = false
    const load = async (): Promise<SubjectRecord | undefined> => {
      waitsForStore = true
      const record = await store.loadSubject(subjectId)
      waitsForStore = false
      return record
    }
    try {
      const record = await within(budget.loadMs, cache.getOrLoad(key, load, { ttlMs: budget.sharedMs }))
      publishCacheLoad(subjectId, loadedAt, { version: record?.version })
      if (isUsable(record, floor, budget)) {
        return { record, loadedAt, version: record.version, ...keptFor(leases, loadedAt, budget.fromCacheMs) }
      }
      if (record !== undefined) await within(budget.loadMs, cache.delete(key))
    } catch (error) {
      // Without the cache the store answers; but not if it is the store that failed or is late.
      if (waitsForStore) throw error
      publishCacheLoad(subjectId, loadedAt, { error })
    }
    return undefined
  }

  async function forget(subjectId: string): Promise<void> {
    if (budget.sharedMs > 0) await cache?.delete(subjectKey(subjectId))
  }

  return {
    loadFromStore,
    forget,
    async load(subjectId, floor) {
      return (await loadFromCache(subjectId, floor)) ?? (await loadFromStore(subjectId))
    },
  }
}

function publishCacheLoad(subjectId: string, start: number, outcome: Partial<LoadEvent>): void {
  if (!loads.hasSubscribers) return
  const durationMs = performance.now() - start
  loads.publish({ of: 'subject', source: 'cache', subjectId, durationMs, ...outcome } satisfies LoadEvent)
}

/** The tag changes with the shape of `SubjectRecord`; the hash keeps any id short, and equal ids only equal. */
function subjectKey(subjectId: string): string {
  return `rbac-subject-1:${hash('sha256', JSON.stringify(subjectId), 'base64url')}`
}

/**
 * Refuses a cached record that is older than the floor, that has another shape, or whose roles end so soon that its
 * unknown age matters.
 */
function isUsable(record: unknown, floor: GrantVersion, budget: StalenessBudget): record is SubjectRecord {
  if (typeof record !== 'object' || record === null) return false
  const { version, isActive, isSuperuser, assignments } = record as Record<string, unknown>
  if (typeof version !== 'number' || version < floor) return false
  if (typeof isActive !== 'boolean' || typeof isSuperuser !== 'boolean' || !Array.isArray(assignments)) return false
  return assignments.every((assignment: unknown) => {
    if (typeof assignment !== 'object' || assignment === null) return false
    const { role, scope, expiresInMs } = assignment as Record<string, unknown>
    if (typeof role !== 'string' || (scope !== undefined && typeof scope !== 'string')) return false
    return expiresInMs === undefined || (typeof expiresInMs === 'number' && expiresInMs > budget.fromStoreMs)
  })
}
