import { InvalidCacheInputError } from './errors.ts'
import { decodeValue, encodeValue, type EncodedValue } from './value.ts'

/** What this package uses of a Standard Schema (standardschema.dev, version 1). */
export interface StandardSchema<V> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<V> | Promise<SchemaResult<V>>
    readonly types?: { readonly input: unknown; readonly output: V } | undefined
  }
}
type SchemaResult<V> =
  { readonly value: V; readonly issues?: undefined } | { readonly issues: readonly { readonly message: string }[] }

export type Decoded = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly issues: string }

/** Turns the values of one namespace into bytes and back. */
export class ValueCodec {
  readonly #schema: StandardSchema<unknown> | undefined

  constructor(schema: StandardSchema<unknown> | undefined) {
    this.#schema = schema
  }

  /** @throws INVALID_CACHE_INPUT for what is not JSON or bytes, or would not be accepted when it is read again */
  encode(value: unknown): EncodedValue | Promise<EncodedValue> {
    return this.#schema ? this.#encodeChecked(value) : encodeValue(value)
  }

  /** Waits for nothing where nothing is to be waited for: this is on the path of every read. */
  decode(encoded: EncodedValue): Decoded | Promise<Decoded> {
    const value = decodeValue(encoded)
    return this.#schema || value instanceof Promise ? this.#checked(value) : { ok: true, value }
  }

  async #encodeChecked(value: unknown): Promise<EncodedValue> {
    const encoded = await encodeValue(value)
    const decoded = await this.decode(encoded)
    if (!decoded.ok) throw new InvalidCacheInputError('value', `does not fit its schema: ${decoded.issues}`)
    return encoded
  }

  async #checked(decoding: unknown): Promise<Decoded> {
    const value: unknown = await decoding
    if (!this.#schema) return { ok: true, value }
    const result = await this.#schema['~standard'].validate(value)
    if (result.issues) return { ok: false, issues: result.issues.map(issue => issue.message).join(', ') }
    return { ok: true, value: result.value }
  }
}
