/** How many starts pass before the longest waiting one goes first, whatever its rank. */
const fairEvery = 8
/** How long a slot that higher work has left is kept for more of it: the broker sends the next one when this one is answered. */
const lingerMs = 10

interface Waiting {
  readonly order: number
  readonly rank: number
  readonly start: (granted: boolean) => void
}

/**
 * Lets a bounded number of handlers run, the highest rank (0) first. Every eighth start goes to whoever waits longest, so
 * that a steady flow of high priority cannot starve the low one.
 */
export class Slots {
  #free: number
  #starts = 0
  #order = 0
  #stopped = false
  #lingering: { readonly rank: number; readonly timer: NodeJS.Timeout } | undefined
  readonly #waiting: readonly Waiting[][]

  constructor(count: number, ranks: number) {
    this.#free = count
    this.#waiting = Array.from({ length: ranks }, () => [])
  }

  /** Resolves with true when a slot is taken, and with false when there will be none. */
  take(rank: number): boolean | Promise<boolean> {
    if (this.#stopped) return false
    // A free slot beside somebody who waits is kept for work at least as high as what has just left it.
    if (this.#free > 0 && (this.#next() === undefined || rank <= (this.#lingering?.rank ?? rank))) {
      this.#free -= 1
      this.#starts += 1
      return true
    }
    return new Promise(start => this.#waiting[rank]?.push({ order: this.#order++, rank, start }))
  }

  /** Gives back a slot that work of this rank had. */
  give(rank: number): void {
    this.#free += 1
    const next = this.#next()
    if (!next) return
    if (next.rank <= rank || this.#fairTurn()) this.#start(next)
    else this.#linger(rank)
  }

  /** Grants nothing more; everybody who waits is told so. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#lingering?.timer)
    for (const rank of this.#waiting) for (const waiting of rank.splice(0)) waiting.start(false)
  }

  #linger(rank: number): void {
    if (this.#lingering) return
    const timer = setTimeout(() => {
      this.#lingering = undefined
      for (let next = this.#next(); next && this.#free > 0; next = this.#next()) this.#start(next)
    }, lingerMs)
    this.#lingering = { rank, timer }
  }

  #start(waiting: Waiting): void {
    this.#waiting[waiting.rank]?.shift()
    this.#free -= 1
    this.#starts += 1
    waiting.start(true)
  }

  #fairTurn(): boolean {
    return this.#starts % fairEvery === fairEvery - 1
  }

  #next(): Waiting | undefined {
    let next: Waiting | undefined
    for (const [first] of this.#waiting) {
      if (first && (next === undefined || (this.#fairTurn() && first.order < next.order))) next = first
    }
    return next
  }
}
