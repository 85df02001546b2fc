import { crc32 } from 'node:zlib'

/** What an entry is: a value, the knowledge that there is none, a promise to bring one, or a version id. */
export const kinds = { value: 0, absent: 1, lease: 2, version: 3 } as const
export type EntryKind = (typeof kinds)[keyof typeof kinds]

/** The version a tag had when the value was made. `key` is the tag's storage key without the namespace's base. */
export interface TagVersion {
  readonly key: string
  readonly id: number
}

/** One stored entry. Times are milliseconds of the writer's wall clock; ids are random and never used again. */
export interface Entry {
  readonly kind: EntryKind
  /** How `body` is written; see value.ts. */
  readonly encoding: number
  readonly freshUntil: number
  readonly expiresAt: number
  /** Until when somebody is loading a new value, and who; 0 when nobody is. */
  readonly leaseUntil: number
  readonly leaseId: number
  /** The namespace's version when the value was made; in a version entry, the version itself. */
  readonly version: number
  readonly tags: readonly TagVersion[]
  readonly body: Uint8Array
}

const format = 0xc1
const fixedBytes = 37
const at = {
  crc: 0,
  format: 4,
  kind: 5,
  freshUntil: 6,
  expiresAt: 12,
  leaseUntil: 18,
  leaseId: 24,
  version: 30,
  tags: 36,
}
const noBody = new Uint8Array(0)
const noTags: readonly TagVersion[] = []

/** An entry without a value; the caller overrides what it means. */
export const emptyEntry: Entry = {
  kind: kinds.value,
  encoding: 0,
  freshUntil: 0,
  expiresAt: 0,
  leaseUntil: 0,
  leaseId: 0,
  version: 0,
  tags: noTags,
  body: noBody,
}

/** Writes an entry. The checksum covers the key too, so that an answer for another key is noticed. */
export function encodeEntry(key: string, entry: Entry): Buffer {
  let size = fixedBytes + entry.body.length
  for (const tag of entry.tags) size += 7 + tag.key.length
  const bytes = Buffer.allocUnsafe(size)
  bytes[at.format] = format
  bytes[at.kind] = entry.kind | (entry.encoding << 4)
  bytes.writeUIntBE(entry.freshUntil, at.freshUntil, 6)
  bytes.writeUIntBE(entry.expiresAt, at.expiresAt, 6)
  bytes.writeUIntBE(entry.leaseUntil, at.leaseUntil, 6)
  bytes.writeUIntBE(entry.leaseId, at.leaseId, 6)
  bytes.writeUIntBE(entry.version, at.version, 6)
  bytes[at.tags] = entry.tags.length
  let offset = fixedBytes
  for (const tag of entry.tags) {
    bytes.writeUIntBE(tag.id, offset, 6)
    bytes[offset + 6] = tag.key.length
    bytes.write(tag.key, offset + 7, 'latin1')
    offset += 7 + tag.key.length
  }
  bytes.set(entry.body, offset)
  bytes.writeUInt32BE(checksum(key, bytes), at.crc)
  return bytes
}

/** Reads an entry, or undefined when the bytes are not what this package wrote under this key. */
export function decodeEntry(key: string, stored: Uint8Array): Entry | undefined {
  if (stored.length < fixedBytes) return undefined
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
  if (bytes[at.format] !== format || bytes.readUInt32BE(at.crc) !== checksum(key, bytes)) return undefined
  const count = bytes[at.tags] ?? 0
  const tags: TagVersion[] = []
  let offset = fixedBytes
  for (let index = 0; index < count; index += 1) {
    const length = bytes[offset + 6] ?? 0
    tags.push({ id: bytes.readUIntBE(offset, 6), key: bytes.toString('latin1', offset + 7, offset + 7 + length) })
    offset += 7 + length
  }
  const kind = bytes[at.kind] ?? 0
  return {
    kind: (kind & 0x0f) as EntryKind,
    encoding: kind >> 4,
    freshUntil: bytes.readUIntBE(at.freshUntil, 6),
    expiresAt: bytes.readUIntBE(at.expiresAt, 6),
    leaseUntil: bytes.readUIntBE(at.leaseUntil, 6),
    leaseId: bytes.readUIntBE(at.leaseId, 6),
    version: bytes.readUIntBE(at.version, 6),
    tags: count === 0 ? noTags : tags,
    body: bytes.subarray(offset),
  }
}

function checksum(key: string, bytes: Buffer): number {
  return crc32(bytes.subarray(at.format), crc32(key))
}
