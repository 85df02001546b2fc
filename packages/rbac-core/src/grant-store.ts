/**
 * Counts the committed changes of roles, permissions, assignments and of users' flags: a later state has a larger
 * number. Writes return it as a token, and `accessFor(id, { atLeast: token })` answers from that state or a later one.
 */
export type GrantVersion = number

/** A role as stored: `permissions` are names of the catalog or wildcards, `inherits` are names of roles. */
export interface RoleRecord {
  readonly name: string
  readonly permissions: readonly string[]
  readonly inherits: readonly string[]
  readonly isActive: boolean
}

/** No subject may hold (static) or activate (dynamic) more than `atMost` of `roles`. */
export interface SeparationRule {
  readonly name: string
  readonly kind: 'static' | 'dynamic'
  readonly roles: readonly string[]
  readonly atMost: number
}

/** All roles and rules, read in one snapshot. */
export interface PolicyRecord {
  readonly version: GrantVersion
  readonly roles: readonly RoleRecord[]
  readonly separationOfDuty: readonly SeparationRule[]
  /** Permissions that are switched off: nobody but a superuser has them. */
  readonly inactivePermissions: readonly string[]
}

/** A role that a subject holds. */
export interface AssignmentRecord {
  readonly role: string
  /** Without a scope the role holds everywhere. */
  readonly scope?: string | undefined
  /** Milliseconds from the load to the end of the assignment, by the store's own clock. */
  readonly expiresInMs?: number | undefined
}

/** One subject's flags and assignments, read in one snapshot. Plain JSON, so that a cache can keep it. */
export interface SubjectRecord {
  readonly version: GrantVersion
  readonly isActive: boolean
  readonly isSuperuser: boolean
  readonly assignments: readonly AssignmentRecord[]
}

/** The port to the backend that keeps roles and assignments. */
export interface GrantStore {
  /** Resolves to all roles and rules, read in one snapshot. */
  loadPolicy(): Promise<PolicyRecord>
  /** Resolves to undefined for a subject the store does not know. */
  loadSubject(id: string): Promise<SubjectRecord | undefined>
  /** Resolves to the version of the last committed change, so it must not ask a replica that may lag behind. */
  loadVersion(): Promise<GrantVersion>
  /**
   * Lists active subjects, superusers among them, who have one of these permissions everywhere or in `scope`, at most
   * `limit` of them. Explanations of a store without it do not tell who may grant.
   */
  loadHolders?(
    permissions: readonly string[],
    options: { readonly scope?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]>
}

/** A committed change; without `subjectId` roles, permissions or rules changed, and everybody is affected. */
export interface GrantChange {
  readonly version: GrantVersion
  readonly subjectId?: string | undefined
}

/** The port to a feed of committed changes. */
export interface GrantChanges {
  /**
   * Starts the feed. `onChange` hears of each change; `onGap` is called when changes may have been missed, so that
   * everything kept must be checked again. `onState` tells whether the feed is connected.
   */
  subscribe(listener: GrantChangeListener): Promise<GrantChangeSubscription>
}

/** What a feed tells its subscriber. */
export interface GrantChangeListener {
  /** Hears of one committed change, in the order of the versions. */
  onChange(change: GrantChange): void
  /** Hears that changes may have been missed. */
  onGap(): void
  /** Hears whether the feed is connected, at each change of it. */
  onState(state: 'connected' | 'disconnected'): void
}

/** A running feed. */
export interface GrantChangeSubscription {
  /** Ends the feed; the listener hears nothing after it. */
  close(): Promise<void>
}

/**
 * The port to a cache shared by processes. `getOrLoad` loads through a lease, so that a late fill cannot overwrite an
 * invalidation. It never answers with a value that was filled longer than `ttlMs` ago: serving a stale one meanwhile would
 * break the authorizer's bound. What `load` rejects with, it rejects with, and keeps nothing.
 */
export interface GrantCache {
  /** Resolves to the kept record, or to what `load` brings, which is kept for at most `ttlMs` milliseconds. */
  getOrLoad(
    key: string,
    load: () => Promise<SubjectRecord | undefined>,
    options: { ttlMs: number },
  ): Promise<SubjectRecord | undefined>
  /** Forgets the record; a load that began before must not bring it back. */
  delete(key: string): Promise<void>
}
