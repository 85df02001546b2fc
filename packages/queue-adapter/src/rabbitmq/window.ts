import { QueueError } from '../errors.ts'

interface Waiting {
  readonly bytes: number
  readonly enter: () => void
}

/** Callers that may wait for a place; more are refused at once. */
const mostWaiting = 100_000

/** Bounds the messages, and their bytes, that were sent and not yet confirmed. Callers wait for a place in order. */
export class Window {
  #messages = 0
  #bytes = 0
  #waiting = new Set<Waiting>()
  #emptied: (() => void)[] = []
  readonly #most: { messages: number; bytes: number }

  constructor(most: { messages: number; bytes: number }) {
    this.#most = most
  }

  /** Takes a place; undefined means it was taken without waiting. */
  enter(bytes: number, timeoutMs: number): Promise<void> | undefined {
    if (this.#waiting.size === 0 && this.#fits(bytes)) {
      this.#take(bytes)
      return undefined
    }
    if (this.#waiting.size >= mostWaiting) {
      return Promise.reject(new QueueError('QUEUE_FULL', `${mostWaiting} messages already wait to be published`))
    }
    return new Promise((resolve, reject) => {
      const waiting = {
        bytes,
        enter: () => {
          clearTimeout(timer)
          resolve()
        },
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting)
        reject(new QueueError('BROKER_UNAVAILABLE', 'the broker confirms too slowly: no place to publish in time'))
      }, timeoutMs)
      this.#waiting.add(waiting)
    })
  }

  leave(bytes: number): void {
    this.#messages -= 1
    this.#bytes -= bytes
    for (const waiting of this.#waiting) {
      if (!this.#fits(waiting.bytes)) break
      this.#waiting.delete(waiting)
      this.#take(waiting.bytes)
      waiting.enter()
    }
    if (this.#messages === 0) for (const resolve of this.#emptied.splice(0)) resolve()
  }

  async empty(): Promise<void> {
    if (this.#messages === 0) return
    await new Promise<void>(resolve => this.#emptied.push(resolve))
  }

  #fits(bytes: number): boolean {
    if (this.#messages === 0) return true
    return this.#messages < this.#most.messages && this.#bytes + bytes <= this.#most.bytes
  }

  #take(bytes: number): void {
    this.#messages += 1
    this.#bytes += bytes
  }
}
