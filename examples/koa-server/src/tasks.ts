import { backoff, defineTask } from '@countersign/queue-adapter'
import { jsonSchema } from '@countersign/queue-adapter/ajv'

/** What became of a document. */
export interface DocumentChange {
  documentId: string
  change: 'created' | 'updated' | 'published' | 'deleted'
  at: string
}

/** Tells the world outside that a document changed; written with the change, done by the worker. */
export const announceChange = defineTask({
  name: 'document.announce',
  schema: jsonSchema<DocumentChange>({
    type: 'object',
    properties: {
      documentId: { type: 'string' },
      change: { type: 'string', enum: ['created', 'updated', 'published', 'deleted'] },
      at: { type: 'string' },
    },
    required: ['documentId', 'change', 'at'],
    additionalProperties: false,
  }),
  retry: backoff({ attempts: 5, firstMs: 1000, factor: 4 }),
  timeoutMs: 30_000,
})
