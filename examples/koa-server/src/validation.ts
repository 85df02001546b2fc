import { Ajv, type JSONSchemaType } from 'ajv'
import addFormats from 'ajv-formats'
import { Problem } from './problem.ts'

const ajv = new Ajv({ allErrors: true, strict: true })
addFormats.default(ajv, ['email', 'uuid'])

/** The schema of a text that the database can keep: no NUL, and no half of a surrogate pair. */
export function text(
  minLength: number,
  maxLength: number,
): { type: 'string'; minLength: number; maxLength: number; pattern: string } {
  return { type: 'string', minLength, maxLength, pattern: '^[^\\u0000\\ud800-\\udfff]*$' }
}

/** Compiles a schema to a reader of request bodies and parameters. */
export function reader<T>(schema: JSONSchemaType<T>): (value: unknown) => T {
  const validate = ajv.compile(schema)
  return function read(value) {
    if (validate(value)) return value
    const errors = (validate.errors ?? []).map(error => ({
      field:
        error.instancePath.slice(1) || String(error.params.missingProperty ?? error.params.additionalProperty ?? ''),
      message: error.message ?? 'is wrong',
    }))
    throw new Problem(422, 'INVALID_INPUT', 'The input is not valid', errors)
  }
}
