import { publish, type CacheEvents } from './events.ts'

/** Counts since the process started. */
export interface CacheStats {
  /** Reads answered from the cache, the knowledge that there is no value included. */
  readonly hits: number
  readonly misses: number
  /** Reads answered with a value past its freshness, within its grace. */
  readonly stale: number
  readonly loads: number
  readonly loadErrors: number
  /** Times this process waited for a value that another process was loading. */
  readonly leaseWaits: number
  /** Values that were not stored. */
  readonly refused: number
  /** Failures of the store. */
  readonly errors: number
}

/** Counts and publishes what happens in one namespace. */
export class Recorder {
  readonly namespace: string
  readonly #counts = { hits: 0, misses: 0, stale: 0, loads: 0, loadErrors: 0, leaseWaits: 0, refused: 0, errors: 0 }

  constructor(namespace: string) {
    this.namespace = namespace
  }

  hit(key: string): void {
    this.#counts.hits += 1
    publish('hit', () => ({ namespace: this.namespace, key }))
  }

  /** Answered from this process's memory: counted, but so frequent that nothing is published. */
  hitNear(): void {
    this.#counts.hits += 1
  }

  miss(key: string): void {
    this.#counts.misses += 1
    publish('miss', () => ({ namespace: this.namespace, key }))
  }

  stale(key: string): void {
    this.#counts.stale += 1
    publish('stale', () => ({ namespace: this.namespace, key }))
  }

  loaded(key: string, durationMs: number): void {
    this.#counts.loads += 1
    publish('load', () => ({ namespace: this.namespace, key, durationMs }))
  }

  loadFailed(key: string, durationMs: number, error: unknown): void {
    this.#counts.loads += 1
    this.#counts.loadErrors += 1
    publish('load', () => ({ namespace: this.namespace, key, durationMs, error }))
  }

  leaseWait(key: string): void {
    this.#counts.leaseWaits += 1
    publish('lease-wait', () => ({ namespace: this.namespace, key }))
  }

  refused(key: string, reason: CacheEvents['refused']['reason']): void {
    this.#counts.refused += 1
    publish('refused', () => ({ namespace: this.namespace, key, reason }))
  }

  failed(key: string, operation: CacheEvents['error']['operation'], error: unknown): void {
    this.#counts.errors += 1
    publish('error', () => ({ namespace: this.namespace, key, operation, error }))
  }

  stats(): CacheStats {
    return { ...this.#counts }
  }
}
