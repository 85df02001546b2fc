import type { OutgoingMessage } from '../message.ts'
import type { Outcome, Receive } from '../transport.ts'

/** A message in memory, and who wants to hear what becomes of it. */
export interface Held {
  readonly message: OutgoingMessage
  readonly onSettled?: ((state: 'done' | 'dead') => void) | undefined
}

interface Taker {
  readonly receive: Receive
  free: number
}

/** One queue: what waits, and who takes it. */
export class MemoryQueue {
  #waiting: Held[] = []
  #head = 0
  #pumping = false
  readonly #takers: Taker[] = []
  readonly #after: (held: Held, outcome: Outcome) => void

  constructor(after: (held: Held, outcome: Outcome) => void) {
    this.#after = after
  }

  get ready(): number {
    return this.#waiting.length - this.#head
  }

  get consumers(): number {
    return this.#takers.length
  }

  push(held: Held): void {
    this.#waiting.push(held)
    this.#schedule()
  }

  /** Puts messages back where they were taken from. */
  giveBack(held: readonly Held[]): void {
    this.#waiting = [...held, ...this.#waiting.slice(this.#head)]
    this.#head = 0
    this.#schedule()
  }

  shift(): Held | undefined {
    const held = this.#waiting[this.#head]
    if (!held) return undefined
    this.#head += 1
    // Half of the array is spent: one copy now keeps both the memory and the time per message bounded.
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head)
      this.#head = 0
    }
    return held
  }

  add(receive: Receive, concurrency: number): Taker {
    const taker = { receive, free: concurrency }
    this.#takers.push(taker)
    this.#schedule()
    return taker
  }

  remove(taker: Taker): void {
    const at = this.#takers.indexOf(taker)
    if (at >= 0) this.#takers.splice(at, 1)
  }

  #schedule(): void {
    if (this.#pumping) return
    this.#pumping = true
    queueMicrotask(() => {
      this.#pumping = false
      this.#pump()
    })
  }

  #pump(): void {
    while (this.ready > 0) {
      const at = this.#takers.findIndex(taker => taker.free > 0)
      const taker = this.#takers[at]
      if (!taker) return
      // Everybody in turn: the one that was served goes to the end.
      if (this.#takers.length > 1) this.#takers.push(...this.#takers.splice(at, 1))
      const held = this.shift()
      if (!held) return
      taker.free -= 1
      this.#deliver(taker, held)
    }
  }

  #deliver(taker: Taker, held: Held): void {
    const settle = (outcome: Outcome): void => {
      taker.free += 1
      if (outcome.kind === 'release') this.giveBack([held])
      else this.#after(held, outcome)
      this.#schedule()
    }
    taker.receive(held.message).then(settle, () => {
      settle({ kind: 'release' })
    })
  }
}
