import type { CacheStore, StoredEntry } from './store.ts'

export type ReadResult = StoredEntry | Error | undefined

const maxBatchKeys = 256

/**
 * Joins the reads of one turn of the event loop into one batch: what many callers want (a namespace's version above
 * all) crosses the wire once. A read never joins a batch that has been sent.
 */
export class Reader {
  readonly #store: CacheStore
  #gathering: Batch | undefined

  constructor(store: CacheStore) {
    this.#store = store
  }

  /** Reads the keys in one batch and answers in their order; it never rejects. */
  async read(keys: readonly string[]): Promise<readonly ReadResult[]> {
    const batch = this.#gathering ?? this.#open()
    const alone = batch.keys.length === 0
    const positions = keys.map(key => batch.add(key))
    if (batch.keys.length >= maxBatchKeys) this.#send(batch)
    const results = await batch.results
    if (alone && results.length === keys.length) return results
    return positions.map(position => results[position])
  }

  #open(): Batch {
    const batch = new Batch()
    this.#gathering = batch
    process.nextTick(() => {
      this.#send(batch)
    })
    return batch
  }

  #send(batch: Batch): void {
    if (this.#gathering !== batch) return
    this.#gathering = undefined
    batch.resolve(this.#ask(batch.keys))
  }

  async #ask(keys: readonly string[]): Promise<readonly ReadResult[]> {
    try {
      return await this.#store.get(keys)
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error('the store failed', { cause })
      return keys.map(() => error)
    }
  }
}

class Batch {
  readonly keys: string[] = []
  readonly results: Promise<readonly ReadResult[]>
  resolve!: (results: Promise<readonly ReadResult[]>) => void
  readonly #positions = new Map<string, number>()

  constructor() {
    this.results = new Promise(resolve => {
      this.resolve = resolve
    })
  }

  add(key: string): number {
    const known = this.#positions.get(key)
    if (known !== undefined) return known
    this.#positions.set(key, this.keys.length)
    return this.keys.push(key) - 1
  }
}
