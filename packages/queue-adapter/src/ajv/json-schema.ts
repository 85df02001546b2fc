import { Ajv, type ErrorObject, type JSONSchemaType, type ValidateFunction } from 'ajv'
import { invalidOption } from '../errors.ts'
import type { Schema, SchemaIssue } from '../schema.ts'

/**
 * Makes a schema for `defineTask` and `defineEvent` out of a JSON Schema, checked by ajv and typed by its `JSONSchemaType`.
 *
 * @param schema - the JSON Schema; the compiler holds it against the type
 * @returns a Standard Schema that reports every issue with its path and changes nothing in the value
 * @throws QueueError `INVALID_OPTION` when ajv cannot compile the schema
 * @example
 * ```ts
 * import { jsonSchema } from '@countersign/queue-adapter/ajv'
 *
 * const invite = jsonSchema<{ userId: string; note?: string }>({
 *   type: 'object',
 *   properties: { userId: { type: 'string' }, note: { type: 'string', nullable: true } },
 *   required: ['userId'],
 *   additionalProperties: false,
 * })
 * ```
 */
export function jsonSchema<T>(schema: JSONSchemaType<T>): Schema<T> {
  const ajv = new Ajv({ allErrors: true, strict: true })
  const check = compile(ajv, schema)
  return {
    '~standard': {
      version: 1,
      vendor: 'ajv',
      validate: value => (check(value) ? { value } : { issues: (check.errors ?? []).map(issueOf) }),
    },
  }
}

function compile<T>(ajv: Ajv, schema: JSONSchemaType<T>): ValidateFunction<T> {
  try {
    return ajv.compile<T>(schema)
  } catch (error) {
    throw invalidOption(
      'schema',
      `a JSON Schema that ajv accepts (${error instanceof Error ? error.message : ''})`,
      schema,
    )
  }
}

function issueOf(error: ErrorObject): SchemaIssue {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  return { message: error.message ?? 'is invalid', path }
}
