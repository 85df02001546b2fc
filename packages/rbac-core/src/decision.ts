import { channel, type Channel } from 'node:diagnostics_channel'
import type { GrantVersion } from './grant-store.ts'

/** Why a decision came out as it did. */
export type DecisionReason =
  | 'granted'
  | 'superuser'
  | 'not-granted'
  /** The subject has it, but in other scopes only. */
  | 'other-scope'
  /** The permission is switched off. */
  | 'inactive-permission'
  | 'inactive-subject'
  | 'unknown-subject'
  | 'stale'
  | 'unauthenticated'
  /** The function that names the scope failed. */
  | 'scope-failed'

/** One decision as plain data: what the channel `countersign.rbac-core.decision` carries. */
export interface Decision {
  readonly allowed: boolean
  /** The permission's name, or what the guard requires, in words. */
  readonly permission: string
  readonly reason: DecisionReason
  readonly subjectId?: string | undefined
  readonly scope?: string | undefined
  readonly policyVersion?: GrantVersion | undefined
  /** The subject's roles that grant it. */
  readonly grantedBy?: readonly string[] | undefined
}

/** Carries each decision of a guard or an `assert`; questions such as `can` and `allows` are not decisions. */
export const decisions: Channel = channel('countersign.rbac-core.decision')
