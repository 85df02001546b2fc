import { randomFillSync } from 'node:crypto'

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

// Random bytes are asked for in large portions: one system call an id would cost more than all the rest.
const pool: Buffer = Buffer.alloc(8 * 512)
let used: number = pool.length
let lastMs = 0
let counter = 0

/**
 * Returns a UUID of version 7 that is greater than the one before it from this process (RFC 9562, 6.2, method 1: twelve
 * bits count within a millisecond, and the clock is run ahead of when they are used up).
 */
export function uuidv7(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += 8
  const now = Date.now()
  if (now > lastMs) {
    lastMs = now
    counter = 0
  } else if (++counter > 0xfff) {
    lastMs += 1
    counter = 0
  }
  pool.writeUInt8((pool.readUInt8(at) & 0x3f) | 0x80, at)
  const random = pool.toString('hex', at, at + 8)
  const time = lastMs.toString(16).padStart(12, '0')
  const sequence = counter.toString(16).padStart(3, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence}-${random.slice(0, 4)}-${random.slice(4)}`
}

/** Tells whether `text` is a UUID of version 7 in its canonical form. */
export function isUuidv7(text: string): boolean {
  return pattern.test(text)
}

/** Returns the milliseconds since 1970 that a UUID of version 7 holds. */
export function timeOfUuidv7(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
