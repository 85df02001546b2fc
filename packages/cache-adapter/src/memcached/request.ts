/** The commands of memcached's binary protocol that are used here. */
export const opcodes = {
  set: 0x01,
  add: 0x02,
  delete: 0x04,
  getKey: 0x0c,
  getKeyQuietly: 0x0d,
  listMechanisms: 0x20,
  authenticate: 0x21,
} as const

/** The answers of the binary protocol that are no failures. */
export const statuses = { ok: 0x00, notFound: 0x01, exists: 0x02, tooLarge: 0x03, notStored: 0x05 } as const

const headerBytes = 24
const monthSeconds = 30 * 24 * 3600

interface Frame {
  readonly opcode: number
  readonly key: string
  readonly opaque: number
  readonly extras?: number
  readonly value?: Uint8Array
  readonly cas?: Uint8Array | undefined
}

/** Reads keys: quiet gets, which answer hits only, and a last one that answers in any case and so ends the batch. */
export function getRequest(keys: readonly string[], opaque: number): Buffer {
  let size = headerBytes * keys.length
  for (const key of keys) size += key.length
  const bytes = Buffer.allocUnsafe(size)
  let offset = 0
  keys.forEach((key, index) => {
    const opcode = index < keys.length - 1 ? opcodes.getKeyQuietly : opcodes.getKey
    offset = writeFrame(bytes, offset, { opcode, key, opaque })
  })
  return bytes
}

/** Stores a value, by `set` or `add`; with `cas` only over that very state. */
export function storeRequest(
  opcode: number,
  key: string,
  value: Uint8Array,
  options: { ttlMs: number; cas?: Uint8Array | undefined },
  opaque: number,
): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + 8 + key.length + value.length)
  writeFrame(bytes, 0, { opcode, key, opaque, extras: 8, value, cas: options.cas })
  bytes.writeUInt32BE(0, headerBytes)
  bytes.writeUInt32BE(expiry(options.ttlMs), headerBytes + 4)
  return bytes
}

export function deleteRequest(key: string, opaque: number): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + key.length)
  writeFrame(bytes, 0, { opcode: opcodes.delete, key, opaque })
  return bytes
}

/**
 * Turns a duration into memcached's seconds: rounded down, so that nothing lives longer than asked, but never 0, which
 * means for ever. More than thirty days would be read as a date, so it is written as one.
 */
export function expiry(ttlMs: number, nowMs: number = Date.now()): number {
  const seconds = Math.max(1, Math.floor(ttlMs / 1000))
  return seconds > monthSeconds ? Math.floor(nowMs / 1000) + seconds : seconds
}

function writeFrame(bytes: Buffer, start: number, frame: Frame): number {
  const { key, extras = 0, value } = frame
  bytes[start] = 0x80
  bytes[start + 1] = frame.opcode
  bytes.writeUInt16BE(key.length, start + 2)
  bytes[start + 4] = extras
  bytes.fill(0, start + 5, start + 8)
  bytes.writeUInt32BE(extras + key.length + (value?.length ?? 0), start + 8)
  bytes.writeUInt32BE(frame.opaque, start + 12)
  if (frame.cas) bytes.set(frame.cas, start + 16)
  else bytes.fill(0, start + 16, start + headerBytes)
  const keyAt = start + headerBytes + extras
  bytes.write(key, keyAt, 'latin1')
  if (value) bytes.set(value, keyAt + key.length)
  return keyAt + key.length + (value?.length ?? 0)
}
