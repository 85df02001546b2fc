import { jsonSchema } from '../../src/ajv/index.ts'
import { backoff, defineEvent, defineTask, type RetryPolicy, type Task, type TopicEvent } from '../../src/index.ts'

export interface Numbered {
  n: number
}

export const numbered = jsonSchema<Numbered>({
  type: 'object',
  properties: { n: { type: 'integer' } },
  required: ['n'],
  additionalProperties: false,
})

interface Settings {
  retry?: RetryPolicy
  timeoutMs?: number
}

export function numberTask(name: string, settings: Settings = {}): Task<Numbered> {
  return defineTask({ name, schema: numbered, retry: backoff({ attempts: 3, firstMs: 0 }), ...settings })
}

export function numberEvent(name: string, settings: Settings = {}): TopicEvent<Numbered> {
  return defineEvent({ name, schema: numbered, retry: backoff({ attempts: 3, firstMs: 0 }), ...settings })
}
