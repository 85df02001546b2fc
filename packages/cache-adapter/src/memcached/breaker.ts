export type BreakerState = 'closed' | 'open' | 'probing'

export interface BreakerOptions {
  /** Failures in a row that open the breaker. */
  readonly failures: number
  /** Milliseconds it stays open the first time; doubled with every failed probe. */
  readonly openMs: number
  /** The longest time it stays open, in milliseconds. */
  readonly maxOpenMs: number
}

/** Stops asking a server that fails, and lets one call through now and then to see whether it is back. */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #onChange: (state: BreakerState) => void
  readonly #now: () => number
  #state: BreakerState = 'closed'
  #failures = 0
  #openMs: number
  #openUntil = 0

  constructor(options: BreakerOptions, onChange: (state: BreakerState) => void, now: () => number) {
    this.#options = options
    this.#onChange = onChange
    this.#now = now
    this.#openMs = options.openMs
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Tells whether a call may go out; when the time is up, one may, and its outcome decides. */
  admits(): boolean {
    if (this.#state === 'closed') return true
    if (this.#state === 'probing' || this.#now() < this.#openUntil) return false
    this.#change('probing')
    return true
  }

  succeeded(): void {
    this.#failures = 0
    if (this.#state === 'closed') return
    this.#openMs = this.#options.openMs
    this.#change('closed')
  }

  failed(): void {
    this.#failures += 1
    if (this.#state === 'probing') this.#openMs = Math.min(this.#openMs * 2, this.#options.maxOpenMs)
    else if (this.#state === 'open' || this.#failures < this.#options.failures) return
    this.#openUntil = this.#now() + this.#openMs
    this.#change('open')
  }

  #change(state: BreakerState): void {
    this.#state = state
    this.#onChange(state)
  }
}
