/** Node fires a timer at once when it is set for longer than this. */
const longestTimerMs = 2 ** 31 - 1

interface Entry<T> {
  readonly at: number
  readonly value: T
}

/** Hands values out when their time has come, earliest first, with one timer for all of them. */
export class Delays<T> {
  readonly #entries: Entry<T>[] = []
  readonly #due: (value: T) => void
  #timer: NodeJS.Timeout | undefined

  constructor(due: (value: T) => void) {
    this.#due = due
  }

  get size(): number {
    return this.#entries.length
  }

  add(at: number, value: T): void {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle]?.at ?? 0) <= at) low = middle + 1
      else high = middle
    }
    this.#entries.splice(low, 0, { at, value })
    if (low === 0) this.#arm()
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#entries.length = 0
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const first = this.#entries[0]
    if (!first) return
    this.#timer = setTimeout(
      () => {
        this.#fire()
      },
      Math.min(longestTimerMs, Math.max(0, first.at - Date.now())),
    )
  }

  #fire(): void {
    const now = Date.now()
    const later = this.#entries.findIndex(entry => entry.at > now)
    const due = this.#entries.splice(0, later < 0 ? this.#entries.length : later)
    for (const { value } of due) this.#due(value)
    this.#arm()
  }
}
