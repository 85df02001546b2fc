import { InvalidPayloadError } from './errors.ts'

/** One thing a schema found wrong. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/**
 * States what a schema library has to offer: version 1 of the Standard Schema interface, which Zod, Valibot, ArkType and
 * others implement.
 *
 * Source: https://standardschema.dev
 */
export interface Schema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** Gives what the schema makes of the value, or throws `INVALID_PAYLOAD`; waits only for a schema that is asynchronous. */
export function validate<Output>(
  schema: Schema<unknown, Output>,
  name: string,
  value: unknown,
): Output | Promise<Output> {
  const accept = (result: SchemaResult<Output>): Output => {
    if (result.issues) throw new InvalidPayloadError(name, result.issues)
    return result.value
  }
  const result = schema['~standard'].validate(value)
  return result instanceof Promise ? result.then(accept) : accept(result)
}
