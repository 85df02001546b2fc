import { createHmac } from 'node:crypto'
import { AuditOptionError } from '../errors.ts'
import type { SecretKind } from './secret-text.ts'

/** What becomes of a secret. */
export interface HideOptions {
  /**
   * `mask` puts a mark in its place; `drop` leaves the field out (inside a text a mark stays); `hash` puts a keyed hash in
   * its place, so that equal secrets can be recognised. @defaultValue `'mask'`
   */
  readonly mode?: 'mask' | 'drop' | 'hash' | undefined
  /** The key of mode `hash`, at least 16 bytes: without one, a four-digit PIN is guessed from its hash at once. */
  readonly hashKey?: string | Uint8Array | undefined
}

export interface Hide {
  /** For a field with a secret's name; undefined leaves the field out. */
  readonly field: (value: unknown) => string | undefined
  /** For a secret inside a text. */
  readonly inText: (secret: string, kind: SecretKind) => string
}

const shortestKey = 16
const longestHashed = 65_536

const mark = /^\[(?:masked(?: [a-z ]{3,12})?|removed|hash [\da-f]{32})\]$/

/** Tells whether `text` is what `createHide` puts in a secret's place: a second pass leaves it alone. */
export function isHidden(text: string): boolean {
  return mark.test(text)
}

/** Makes the functions that replace a secret. */
export function createHide({ mode = 'mask', hashKey }: HideOptions): Hide {
  if (mode === 'drop') return { field: () => undefined, inText: () => '[removed]' }
  if (mode !== 'hash') return { field: () => '[masked]', inText: (_, kind) => `[masked ${kind}]` }
  if (hashKey === undefined || Buffer.byteLength(hashKey) < shortestKey) {
    throw new AuditOptionError('hashKey', `at least ${shortestKey} bytes in mode hash`)
  }
  const hash = (text: string): string => {
    const hex = createHmac('sha256', hashKey)
      .update(`${text.length}:`)
      .update(text.slice(0, longestHashed))
      .digest('hex')
    return `[hash ${hex.slice(0, 32)}]`
  }
  return {
    field: value => (typeof value === 'string' || typeof value === 'number' ? hash(String(value)) : '[masked]'),
    inText: hash,
  }
}
