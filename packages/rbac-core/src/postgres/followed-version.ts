import type { GrantChange, GrantChangeListener, GrantVersion } from '../grant-store.ts'

export interface FollowedVersion {
  onNotification(payload: string | undefined): void
  /** Takes a version that was read from the table. */
  onRead(version: GrantVersion): void
}

/**
 * Turns notifications and readings of the version into changes and gaps.
 *
 * One transaction raises the version by one, and PostgreSQL delivers in commit order. So a number that was skipped, or
 * was read before it was heard of, is a change that this process missed. A reading at the very moment of a commit may
 * overtake its notification; that false gap costs a reload.
 */
export function followVersions(listener: Pick<GrantChangeListener, 'onChange' | 'onGap'>): FollowedVersion {
  let seen: GrantVersion | undefined
  return {
    onNotification(payload) {
      const change = parseChange(payload)
      const skipped = change !== undefined && seen !== undefined && change.version > seen + 1
      if (change) seen = Math.max(seen ?? 0, change.version)
      if (change && !skipped) listener.onChange(change)
      else listener.onGap()
    },
    onRead(version) {
      // A smaller one is no mistake: the database was restored from a backup.
      if (version === seen) return
      seen = version
      listener.onGap()
    },
  }
}

/** Somebody else's text on the channel is undefined, which the caller takes for a change of unknown extent. */
function parseChange(payload: string | undefined): GrantChange | undefined {
  let value: unknown
  try {
    value = JSON.parse(payload ?? '')
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('version' in value)) return undefined
  const { version } = value
  const subjectId = 'subjectId' in value ? value.subjectId : undefined
  if (typeof version !== 'number' || (subjectId !== undefined && typeof subjectId !== 'string')) return undefined
  return { version, subjectId }
}
