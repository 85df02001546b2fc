import { CacheClosedError } from './errors.ts'
import { publish } from './events.ts'
import type { CacheStore } from './store.ts'

const retryMs = 1000
const maxPending = 10_000

/**
 * Deletes entries and versions. What cannot be deleted now, because its server does not answer, is remembered: this
 * process does not read it until the deletion has succeeded, and tries again every second.
 *
 * It must succeed twice. A write whose time ran out may still lie in the buffers of a server that stood still, and be
 * carried out after the first deletion; it cannot outlast a whole second of work.
 */
export class Invalidations {
  readonly #store: CacheStore
  /** The keys to delete, and how often. */
  readonly #pending = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(store: CacheStore) {
    this.#store = store
  }

  /** Deletes what is stored under the key, or sees to it that it is done later. */
  async delete(key: string): Promise<void> {
    try {
      await this.#store.delete(key)
    } catch (error) {
      if (error instanceof CacheClosedError) throw error
      publish('error', () => ({ namespace: '', key, operation: 'delete', error }))
      this.postpone(key)
    }
  }

  /** Remembers that whatever is stored under the key is outdated. */
  postpone(key: string): void {
    const [oldest] = this.#pending.keys()
    if (this.#pending.size >= maxPending && oldest !== undefined) {
      this.#pending.delete(oldest)
      const error = new Error(`more than ${maxPending} deletions are pending: this one is given up`)
      publish('error', () => ({ namespace: '', key: oldest, operation: 'delete', error }))
    }
    this.#pending.set(key, 2)
    if (!this.#timer) this.#schedule()
  }

  /** Tells whether nothing waits for its deletion, as almost always. */
  get isEmpty(): boolean {
    return this.#pending.size === 0
  }

  /** Tells whether one of the keys waits for its deletion, so that what is stored there must not be used. */
  cover(keys: readonly string[]): boolean {
    return keys.some(key => this.#pending.has(key))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      this.#retry().catch((error: unknown) => {
        const [key = ''] = this.#pending.keys()
        publish('error', () => ({ namespace: '', key, operation: 'delete', error }))
        this.#schedule()
      })
    }, retryMs).unref()
  }

  async #retry(): Promise<void> {
    let failure: unknown
    for (const [key, times] of [...this.#pending]) {
      try {
        await this.#store.delete(key)
        if (times > 1) this.#pending.set(key, times - 1)
        else this.#pending.delete(key)
      } catch (error) {
        // One server that is still away does not hold up the deletions on the others.
        failure = error
      }
    }
    if (failure !== undefined) throw failure as Error
    this.#timer = undefined
    if (this.#pending.size > 0) this.#schedule()
  }
}
