import { hash } from 'node:crypto'
import { InvalidCacheInputError } from './errors.ts'

const name = /^[A-Za-z0-9_.-]{1,64}$/
const visible = /^[\x21-\x7e]*$/
const maxBytes = 200

/** Checks a prefix or namespace name: they are written by programmers, so they are short and plain. */
export function checkName(field: string, value: unknown): string {
  if (typeof value === 'string' && name.test(value)) return value
  throw new InvalidCacheInputError(field, 'must be 1 to 64 characters of A-Z a-z 0-9 _ . -')
}

/** Makes the start of a namespace's keys. */
export function keyBase(prefix: string, schemaVersion: number, namespace: string): string {
  return `${prefix}:${schemaVersion}:${namespace}:`
}

/** Makes a name of fixed length from any string. */
export function digest(text: string): string {
  // UTF-16: in UTF-8 all lone surrogates would become one and the same character.
  return hash('sha256', Buffer.from(text, 'utf16le'), 'base64url')
}

/**
 * Makes the key that is stored: any string becomes 1 to 200 visible ASCII characters, and no two become the same.
 * `kind` keeps keys (k) and tags (t) apart.
 */
export function storageKey(base: string, kind: 'k' | 't', key: unknown): string {
  if (typeof key !== 'string') throw new InvalidCacheInputError(kind === 'k' ? 'key' : 'tag', 'must be a string')
  const plain = `${base}${kind}:${key}`
  if (plain.length <= maxBytes && visible.test(key)) return plain
  return `${base}${kind}#${digest(plain)}`
}
