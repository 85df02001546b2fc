import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import { InvalidCacheInputError } from './errors.ts'

/** A value as bytes, and how to read them: bit 0 raw bytes instead of JSON, bit 1 deflated. */
export interface EncodedValue {
  readonly encoding: number
  readonly body: Uint8Array
}

const raw = 1
const deflated = 2
const compressFrom = 2048
const maxInflatedBytes = 64 * 1024 * 1024
const compress = promisify(deflateRaw)
const expand: (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer> = promisify(inflateRaw)

/**
 * Writes a value as JSON, or as it is when it is a Uint8Array; what is larger than 2 KiB is deflated if that helps.
 *
 * @throws InvalidCacheInputError for a value that is not JSON: undefined, a function, a bigint, a circle, NaN.
 */
export function encodeValue(value: unknown): EncodedValue | Promise<EncodedValue> {
  const plain = value instanceof Uint8Array ? { encoding: raw, body: Uint8Array.from(value) } : encodeJson(value)
  return plain.body.length <= compressFrom ? plain : shrink(plain)
}

async function shrink(plain: EncodedValue): Promise<EncodedValue> {
  const smaller = await compress(plain.body, { level: 1 })
  return smaller.length < plain.body.length ? { encoding: plain.encoding | deflated, body: smaller } : plain
}

function encodeJson(value: unknown): EncodedValue {
  let text: string | undefined
  try {
    text = typeof value === 'number' && !Number.isFinite(value) ? undefined : JSON.stringify(value)
  } catch (cause) {
    throw new InvalidCacheInputError('value', 'must be JSON or a Uint8Array', { cause })
  }
  if (text === undefined) throw new InvalidCacheInputError('value', 'must be JSON or a Uint8Array')
  return { encoding: 0, body: Buffer.from(text) }
}

/** Reads a value, or a promise of one that is deflated; each call makes a new one, so that no two callers share it. */
export function decodeValue({ encoding, body }: EncodedValue): unknown {
  if (encoding & deflated) return inflate(encoding, body)
  if (encoding & raw) return Uint8Array.from(body)
  return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')) as unknown
}

async function inflate(encoding: number, body: Uint8Array): Promise<unknown> {
  const plain = await expand(body, { maxOutputLength: maxInflatedBytes })
  return decodeValue({ encoding: encoding & ~deflated, body: plain })
}
