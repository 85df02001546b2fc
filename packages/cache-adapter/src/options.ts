import { checkCount, checkMs, checkMsOrZero } from './check.ts'
import { InvalidCacheInputError } from './errors.ts'
import { storageKey } from './key.ts'

/** For how long a value is kept, and what it depends on. */
export interface EntryOptions {
  /** Milliseconds a value is fresh, counted from the start of its load. Default 60,000. */
  ttlMs?: number | undefined
  /** Milliseconds after that in which it may still be served while a new one is loaded. Default 0: never. */
  graceMs?: number | undefined
  /** What the value depends on; `invalidateTag` voids all values that name the tag. At most 32. Default none. */
  tags?: readonly string[] | undefined
  /** By which share of `ttlMs`, at most, a value lives shorter, so that values do not expire together. Default 0.1. */
  jitter?: number | undefined
}

export interface LoadOptions extends EntryOptions {
  /** Milliseconds for which it is remembered that the loader found nothing. Default a tenth of `ttlMs`. */
  absentTtlMs?: number | undefined
  /** Milliseconds after which a loader is given up and its signal aborted; others wait as long for it. Default 10,000. */
  loadTimeoutMs?: number | undefined
  /** Milliseconds to wait for a new value before a stale one is served. Default 0: a stale one is served at once. */
  softTimeoutMs?: number | undefined
}

/** The options of one call, checked, with every default filled in. */
export interface Plan {
  readonly ttlMs: number
  readonly graceMs: number
  readonly absentTtlMs: number
  readonly jitter: number
  readonly loadTimeoutMs: number
  readonly softTimeoutMs: number
  /** The tags as they stand in an entry: their storage keys without the namespace's base. */
  readonly tags: readonly string[]
}

const noTags: readonly string[] = []
const maxTags = 32

export function planOf(base: string, defaults: LoadOptions, own: LoadOptions | undefined): Plan {
  const ttlMs = checkMs('ttlMs', own?.ttlMs ?? defaults.ttlMs ?? 60_000)
  const jitter = own?.jitter ?? defaults.jitter ?? 0.1
  if (!(jitter >= 0 && jitter <= 0.5)) throw new InvalidCacheInputError('jitter', 'must be a number from 0 to 0.5')
  const tags = own?.tags ?? defaults.tags
  if (tags) checkCount('the number of tags', tags.length, 0, maxTags)
  return {
    ttlMs,
    graceMs: checkMsOrZero('graceMs', own?.graceMs ?? defaults.graceMs ?? 0),
    absentTtlMs: Math.min(ttlMs, checkMs('absentTtlMs', own?.absentTtlMs ?? defaults.absentTtlMs ?? ttlMs / 10)),
    jitter,
    loadTimeoutMs: checkMs('loadTimeoutMs', own?.loadTimeoutMs ?? defaults.loadTimeoutMs ?? 10_000),
    softTimeoutMs: checkMsOrZero('softTimeoutMs', own?.softTimeoutMs ?? defaults.softTimeoutMs ?? 0),
    tags: tags?.length ? tags.map(tag => storageKey(base, 't', tag).slice(base.length)) : noTags,
  }
}

/** Until when a value is fresh: jitter only shortens, for `ttlMs` is a promise. */
export function freshUntil(start: number, plan: Plan): number {
  return Math.floor(start + plan.ttlMs * (1 - plan.jitter * Math.random()))
}
