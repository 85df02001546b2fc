import type { GrantChange, GrantChangeListener, GrantVersion } from '../grant-store.ts'

/** The version, and the table it was counted in: several schemas of a database may have one. */
export interface VersionReading {
  readonly version: GrantVersion
  readonly source: string
}

export interface FollowedVersion {
  onNotification(payload: string | undefined): void
  /** Takes a version that was read from the table. */
  onRead(reading: VersionReading): void
}

/**
 * Turns notifications and readings of the version into changes and gaps.
 *
 * One transaction raises the version by one, and PostgreSQL delivers in commit order. So a number that was skipped, or
 * was read before it was heard of, is a change that this process missed. A reading at the very moment of a commit may
 * overtake its notification; that false gap costs a reload.
 */
export function followVersions(listener: Pick<GrantChangeListener, 'onChange' | 'onGap'>): FollowedVersion {
  let last: VersionReading | undefined
  return {
    onNotification(payload) {
      // Before the first reading nothing is known, and the reading itself is about to be a gap.
      if (last === undefined) return
      const change = parseChange(payload)
      if (change === undefined) {
        listener.onGap()
        return
      }
      const { source, version, subjectId } = change
      if (source !== last.source) return
      const skipped = version > last.version + 1
      last = { source, version: Math.max(last.version, version) }
      if (skipped) listener.onGap()
      else listener.onChange({ version, subjectId })
    },
    onRead(reading) {
      // A smaller version is no mistake: the database was restored from a backup.
      if (reading.version === last?.version && reading.source === last.source) return
      last = reading
      listener.onGap()
    },
  }
}

/** Somebody else's text on the channel is undefined, which the caller takes for a change of unknown extent. */
function parseChange(payload: string | undefined): (GrantChange & VersionReading) | undefined {
  let value: unknown
  try {
    value = JSON.parse(payload ?? '')
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { version, source, subjectId } = value as Record<string, unknown>
  if (typeof version !== 'number' || typeof source !== 'string') return undefined
  if (subjectId !== undefined && typeof subjectId !== 'string') return undefined
  return { version, source, subjectId }
}
