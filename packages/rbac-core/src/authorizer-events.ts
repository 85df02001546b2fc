import { channel, type Channel } from 'node:diagnostics_channel'
import type { GrantVersion } from './grant-store.ts'

/** What the channel `countersign.rbac-core.load` carries, for each question to the store or the shared cache. */
export interface LoadEvent {
  readonly of: 'subject' | 'policy' | 'version' | 'holders'
  readonly source: 'store' | 'cache'
  readonly durationMs: number
  readonly subjectId?: string | undefined
  /** Undefined when the load failed or there was nothing to load. */
  readonly version?: GrantVersion | undefined
  readonly error?: unknown
}

/** What the channel `countersign.rbac-core.invalidate` carries; without `subjectId` everybody is affected. */
export interface InvalidateEvent {
  readonly cause: 'change' | 'gap'
  readonly subjectId?: string | undefined
  readonly version?: GrantVersion | undefined
  /** The shared cache could not forget the subject; its old record will be refused by its version. */
  readonly error?: unknown
}

/** Fresh while the feed of changes is connected and the store answers; degraded when only the bound holds. */
export type AuthorizerState = 'fresh' | 'degraded'

/** What the channel `countersign.rbac-core.state` carries. */
export interface StateEvent {
  readonly state: AuthorizerState
  readonly cause?: unknown
}

/** Carries a `LoadEvent` for each load. */
export const loads: Channel = channel('countersign.rbac-core.load')
/** Carries an `InvalidateEvent` for each change and gap. */
export const invalidations: Channel = channel('countersign.rbac-core.invalidate')
const states: Channel = channel('countersign.rbac-core.state')

/** Follows the two things freshness depends on, and publishes when their sum changes. */
export class FreshnessState {
  #feed = true
  #store = true

  get current(): AuthorizerState {
    return this.#feed && this.#store ? 'fresh' : 'degraded'
  }

  feedIs(connected: boolean, cause?: unknown): void {
    const before = this.current
    this.#feed = connected
    this.#publishAfter(before, cause)
  }

  storeIs(answering: boolean, cause?: unknown): void {
    if (this.#store === answering) return
    const before = this.current
    this.#store = answering
    this.#publishAfter(before, cause)
  }

  #publishAfter(before: AuthorizerState, cause: unknown): void {
    if (before !== this.current) states.publish({ state: this.current, cause } satisfies StateEvent)
  }
}
