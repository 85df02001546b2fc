import { CacheClosedError, CacheUnavailableError, CacheValueTooLargeError } from '../errors.ts'
import type { CasToken, SetResult, StoredEntry } from '../store.ts'
import type { Address } from './address.ts'
import { Breaker, type BreakerOptions, type BreakerState } from './breaker.ts'
import { Connection, type Reply } from './connection.ts'
import { deleteRequest, getRequest, opcodes, statuses, storeRequest } from './request.ts'

export interface NodeOptions {
  readonly timeoutMs: number
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly breaker: BreakerOptions
  readonly onBreaker: (server: string, state: BreakerState) => void
}

/** One memcached server: its connection, its breaker, and the commands in terms of the port. */
export class MemcachedNode {
  readonly label: string
  readonly #connection: Connection
  readonly #breaker: Breaker
  #closed = false

  constructor(address: Address, options: NodeOptions) {
    this.label = address.label
    const onChange = (state: BreakerState): void => {
      options.onBreaker(address.label, state)
    }
    this.#breaker = new Breaker(options.breaker, onChange, () => performance.now())
    this.#connection = new Connection(address, {
      timeoutMs: options.timeoutMs,
      username: options.username,
      password: options.password,
      onFailure: () => {
        this.#breaker.failed()
      },
    })
  }

  get state(): BreakerState {
    return this.#breaker.state
  }

  /** Reads a batch. memcached answers in order, so the next answer belongs to one of the keys still ahead. */
  get(keys: readonly string[]): Promise<(StoredEntry | undefined)[]> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal()
      if (refusal) {
        reject(refusal)
        return
      }
      const entries = new Array<StoredEntry | undefined>(keys.length).fill(undefined)
      let position = 0
      let failure: Error | undefined
      this.#connection.request(opaque => getRequest(keys, opaque), {
        reply: reply => {
          const { opcode, status, key } = reply
          const isLast = opcode === opcodes.getKey
          if (isLast) position = keys.length - 1
          while (position < keys.length && keys[position] !== key) position += 1
          if (position === keys.length && status <= statuses.notFound) {
            this.#connection.error(new Error('an answer for a key that was not asked for'))
            return false
          }
          if (status === statuses.ok) entries[position] = { value: reply.value, cas: casOf(reply) }
          else if (status !== statuses.notFound) failure = this.#unexpected(reply)
          position += 1
          if (!isLast) return false
          this.#breaker.succeeded()
          if (failure) reject(failure)
          else resolve(entries)
          return true
        },
        fail: error => {
          reject(this.#unavailable(error))
        },
      })
    })
  }

  async set(key: string, value: Uint8Array, ttlMs: number, cas: Uint8Array | undefined): Promise<SetResult> {
    const reply = await this.#ask(opaque => storeRequest(opcodes.set, key, value, { ttlMs, cas }, opaque))
    switch (reply.status) {
      case statuses.ok:
        return { stored: true, cas: casOf(reply) }
      case statuses.notFound:
        return { stored: false, because: 'gone' }
      case statuses.exists:
        return { stored: false, because: 'changed' }
      case statuses.tooLarge:
        throw new CacheValueTooLargeError(value.length, value.length - 1)
      default:
        throw this.#unexpected(reply)
    }
  }

  async add(key: string, value: Uint8Array, ttlMs: number): Promise<CasToken | undefined> {
    const reply = await this.#ask(opaque => storeRequest(opcodes.add, key, value, { ttlMs }, opaque))
    const { status } = reply
    if (status === statuses.exists || status === statuses.notStored) return undefined
    if (status === statuses.ok) return casOf(reply)
    throw this.#unexpected(reply)
  }

  async delete(key: string): Promise<boolean> {
    const reply = await this.#ask(opaque => deleteRequest(key, opaque))
    const { status } = reply
    if (status === statuses.ok || status === statuses.notFound) return status === statuses.ok
    throw this.#unexpected(reply)
  }

  close(): void {
    this.#closed = true
    this.#connection.error(new CacheClosedError())
  }

  #ask(makeFrame: (opaque: number) => Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal()
      if (refusal) {
        reject(refusal)
        return
      }
      this.#connection.request(makeFrame, {
        reply: reply => {
          this.#breaker.succeeded()
          resolve(reply)
          return true
        },
        fail: error => {
          reject(this.#unavailable(error))
        },
      })
    })
  }

  #refusal(): Error | undefined {
    if (this.#closed) return new CacheClosedError()
    return this.#breaker.admits() ? undefined : new CacheUnavailableError(this.label, 'not asked, because it failed')
  }

  #unavailable(cause: Error): Error {
    return cause instanceof CacheClosedError ? cause : new CacheUnavailableError(this.label, cause.message, { cause })
  }

  #unexpected(reply: Reply): Error {
    const text = reply.value.toString('latin1').slice(0, 100)
    return new CacheUnavailableError(this.label, `answered status ${reply.status} ${text}`)
  }
}

function casOf(reply: Reply): CasToken {
  return reply.cas as unknown as CasToken
}
