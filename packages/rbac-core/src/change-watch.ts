import { invalidations, type FreshnessState, type InvalidateEvent } from './authorizer-events.ts'
import { Floors } from './floors.ts'
import type { GrantChange, GrantChanges, GrantChangeSubscription, GrantStore } from './grant-store.ts'

/** After a failed look at the version, what is kept is used for so long before the next attempt. */
const pauseAfterFailureMs = 1000

/** Follows the feed of changes and knows below which version nothing may be used. */
export class ChangeWatch {
  readonly floors: Floors = new Floors()
  readonly #store: GrantStore
  readonly #state: FreshnessState
  readonly #forget: (subjectId: string) => Promise<void>
  #subscription: Promise<GrantChangeSubscription | undefined> | undefined
  #gaps = 0
  #gapsClosed = 0
  #closing: Promise<void> | undefined
  #pausedUntil = 0

  constructor(options: { store: GrantStore; state: FreshnessState; forget: (subjectId: string) => Promise<void> }) {
    this.#store = options.store
    this.#state = options.state
    this.#forget = options.forget
  }

  start(changes: GrantChanges): void {
    this.#state.feedIs(false)
    this.#subscription = changes
      .subscribe({
        onChange: change => this.#onChange(change),
        onGap: () => this.#onGap(),
        onState: state => {
          // What changed before the feed was connected was not told.
          if (state === 'connected') this.#onGap()
          this.#state.feedIs(state === 'connected')
        },
      })
      .catch((cause: unknown) => {
        this.#state.feedIs(false, cause)
        return undefined
      })
  }

  /** Counts the times when changes may have been missed: the same version may have another history since. */
  get gaps(): number {
    return this.#gaps
  }

  /** True when the version must be looked at before anything kept is used. */
  get mustAsk(): boolean {
    return this.#gaps !== this.#gapsClosed && performance.now() >= this.#pausedUntil
  }

  /** Looks at the version: what is older must be loaded again. While the store is down only the bound holds. */
  async ask(): Promise<void> {
    this.#closing ??= this.#closeGap().finally(() => (this.#closing = undefined))
    return this.#closing
  }

  async #closeGap(): Promise<void> {
    const gaps = this.#gaps
    const { highest } = this.floors
    try {
      const version = await this.#store.loadVersion()
      // Versions only fall when the database was restored; nothing up to the highest can be told from what is lost.
      this.floors.raiseEverybody(version < highest ? highest + 1 : version)
      this.#gapsClosed = gaps
    } catch {
      // The store's failure is published; a kept access is used up to its bound.
      this.#pausedUntil = performance.now() + pauseAfterFailureMs
    }
  }

  #onChange({ version, subjectId }: GrantChange): void {
    publish({ cause: 'change', subjectId, version })
    if (subjectId === undefined) return this.floors.raiseEverybody(version)
    this.floors.raise(subjectId, version)
    this.#forget(subjectId).catch((error: unknown) => publish({ cause: 'change', subjectId, version, error }))
  }

  #onGap(): void {
    publish({ cause: 'gap' })
    this.#gaps += 1
    this.#pausedUntil = 0
  }

  async close(): Promise<void> {
    await (await this.#subscription)?.close()
  }
}

function publish(event: InvalidateEvent): void {
  if (invalidations.hasSubscribers) invalidations.publish(event)
}
