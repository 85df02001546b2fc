export { jsonSchema } from './json-schema.ts'
