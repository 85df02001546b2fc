import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'

/** The channel on which rbac-core tells every decision of a guard. */
export const decisionChannel = 'countersign.rbac-core.decision'

/** What this package reads of a decision; any authorizer may publish it. */
export interface Decision {
  readonly allowed: boolean
  readonly permission: string
  /** Why, for instance `not-granted`. */
  readonly reason: string
  readonly subjectId?: string | undefined
  readonly scope?: string | undefined
  readonly policyVersion?: string | number | undefined
  /** The roles that granted it. */
  readonly grantedBy?: readonly string[] | undefined
}

/** The same decision taken several times is kept once, with how often. */
export interface CountedDecision extends Decision {
  readonly times: number
}

/** The decisions of one request or task, as far as they were kept. */
export interface Decisions {
  readonly denied: readonly CountedDecision[]
  readonly allowed: readonly CountedDecision[]
  /** How many different decisions there was no room for. */
  readonly omitted: number
}

class DecisionCollector {
  readonly #counted = new Map<string, CountedDecision>()
  readonly #keepsAllowed: boolean
  #omitted = 0

  constructor(keepsAllowed: boolean) {
    this.#keepsAllowed = keepsAllowed
  }

  add(decision: Decision): void {
    if (decision.allowed && !this.#keepsAllowed) return
    const { allowed, permission, reason, subjectId, scope } = decision
    const key = JSON.stringify([allowed, permission, reason, subjectId, scope])
    const times = (this.#counted.get(key)?.times ?? 0) + 1
    // Room for denials is kept: a page that checks hundreds of rights must not push out the one it was refused.
    const room = allowed ? mostKept / 2 : mostKept
    if (times === 1 && this.#counted.size >= room) this.#omitted++
    else this.#counted.set(key, { ...decision, times })
  }

  decisions(): Decisions {
    const all = [...this.#counted.values()]
    return {
      denied: all.filter(decision => !decision.allowed),
      allowed: all.filter(decision => decision.allowed),
      omitted: this.#omitted,
    }
  }
}

const mostKept = 100

interface Shared {
  readonly storage: AsyncLocalStorage<{ add(decision: Decision): void }>
  isSubscribed: boolean
}

// One per process, also where two copies of this package are installed: each decision is to be kept once.
const key = Symbol.for('countersign.audit-log.decisions')
const holder = globalThis as { [key]?: Shared }

function shared(): Shared {
  return (holder[key] ??= { storage: new AsyncLocalStorage(), isSubscribed: false })
}

/**
 * Runs `work` and keeps the access decisions that rbac-core's guards take in it.
 *
 * @param work - Receives a function that tells the decisions so far.
 * @param options - `allowed: true` keeps granted decisions too; by default denials only.
 * @returns What `work` returns.
 */
export function collectDecisions<T>(
  work: (decisions: () => Decisions) => T,
  options: { readonly allowed?: boolean | undefined } = {},
): T {
  const { storage } = subscribed()
  const collector = new DecisionCollector(options.allowed ?? false)
  return storage.run(collector, () => work(() => collector.decisions()))
}

function subscribed(): Shared {
  const state = shared()
  if (!state.isSubscribed) {
    state.isSubscribed = true
    subscribe(decisionChannel, message => {
      if (isDecision(message)) state.storage.getStore()?.add(message)
    })
  }
  return state
}

function isDecision(message: unknown): message is Decision {
  if (typeof message !== 'object' || message === null) return false
  const { allowed, permission, reason } = message as Partial<Decision>
  return typeof allowed === 'boolean' && typeof permission === 'string' && typeof reason === 'string'
}
