import { hash, randomBytes } from 'node:crypto'

const shape = /^[A-Za-z0-9_-]{43}$/

/** Makes a session's id: 256 random bits as base64url. */
export function newSessionId(): string {
  return randomBytes(32).toString('base64url')
}

export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && shape.test(value)
}

/** The name under which a session is stored, from which its id cannot be found. */
export function hashOf(id: string): string {
  return hash('sha256', id, 'base64url')
}
