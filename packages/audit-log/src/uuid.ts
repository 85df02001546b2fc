import { randomBytes } from 'node:crypto'

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const poolSize = 8 * 256

let pool: Buffer = Buffer.alloc(0)
let offset = 0
let lastMs = 0
let counter = 0

/**
 * Returns a UUID of version 7 that is greater than the one before it from this process (RFC 9562, 6.2, method 1: twelve
 * bits count within a millisecond, and the clock is run ahead of when they are used up).
 */
export function uuidv7(): string {
  const now = Date.now()
  if (offset === pool.length) {
    pool = randomBytes(poolSize)
    offset = 0
  }
  const random = pool.subarray(offset, (offset += 8))
  if (now > lastMs) {
    lastMs = now
    counter = random.readUInt16BE(0) & 0x7ff
  } else if (++counter > 0xfff) {
    lastMs += 1
    counter = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  const tail = random.toString('hex', 2)
  const variant = (8 | ((random[0] ?? 0) >> 6)).toString(16)
  const sequence = counter.toString(16).padStart(3, '0')
  const clock = (random[1] ?? 0).toString(16).padStart(2, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${sequence}-${variant}${tail.slice(0, 1)}${clock}-${tail}`
}

/** Tells whether `text` is a UUID of version 7 in its canonical form. */
export function isUuidv7(text: string): boolean {
  return pattern.test(text)
}

/** Returns the milliseconds since 1970 that a UUID of version 7 holds. */
export function timeOfUuidv7(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
