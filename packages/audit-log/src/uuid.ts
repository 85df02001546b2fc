import { randomFillSync } from 'node:crypto'

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

// Random bytes are asked for in large portions: one system call an id would cost more than all the rest.
const pool: Buffer = Buffer.alloc(8 * 512)
let used: number = pool.length
let origin: number = performance.timeOrigin
let lastMs = 0
let lastFraction = 0

/**
 * Returns a UUID of version 7 that is greater than the one before it from this process. The twelve bits after the version
 * are a fraction of the millisecond (RFC 9562, 6.2, method 3), as in the ids that the database makes, so that the rows of
 * one transaction keep their order whoever made them.
 */
export function uuidv7(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += 8
  const now = preciseNow()
  const ms = Math.floor(now)
  const fraction = Math.floor((now - ms) * 4096)
  if (ms > lastMs || (ms === lastMs && fraction > lastFraction)) {
    lastMs = ms
    lastFraction = fraction
  } else if (++lastFraction === 4096) {
    lastMs += 1
    lastFraction = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  pool.writeUInt8((pool.readUInt8(at) & 0x3f) | 0x80, at)
  const random = pool.toString('hex', at, at + 8)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${lastFraction.toString(16).padStart(3, '0')}-${random.slice(0, 4)}-${random.slice(4)}`
}

/** The wall clock's milliseconds with a fraction from the steady clock, brought into line wherever the two part. */
function preciseNow(): number {
  const wall = Date.now()
  const steady = performance.now()
  if (origin + steady < wall) origin = wall - steady
  else if (origin + steady >= wall + 1) origin = wall + 0.999 - steady
  return origin + steady
}

/** Tells whether `text` is a UUID of version 7 in its canonical form. */
export function isUuidv7(text: string): boolean {
  return pattern.test(text)
}

/** Returns the milliseconds since 1970 that a UUID of version 7 holds. */
export function timeOfUuidv7(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** Returns the lowest UUID of version 7 that a millisecond can have. */
export function lowestUuidv7(ms: number): string {
  const time = Math.min(Math.max(Math.ceil(ms), 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}
