import { invalidOption, wholeNumber } from './errors.ts'
import { backoff, type RetryPolicy } from './retry.ts'
import type { Schema } from './schema.ts'

const defaultTimeoutMs = 60_000
/** RabbitMQ takes a delivery away after 30 minutes without an answer; a handler ends before that. */
const longestTimeoutMs = 25 * 60_000

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** Work of one kind for one worker: its name, its payload's schema and how failures are met. Made by `defineTask`. */
export interface Task<Input = unknown, Output = Input> {
  readonly kind: 'task'
  readonly name: string
  readonly schema: Schema<Input, Output>
  readonly retry: RetryPolicy
  readonly timeoutMs: number
}

/** A fact of one kind, published for all who care. Made by `defineEvent`. */
export interface TopicEvent<Input = unknown, Output = Input> {
  readonly kind: 'event'
  readonly name: string
  readonly schema: Schema<Input, Output>
  readonly retry: RetryPolicy
  readonly timeoutMs: number
}

/** The settings of `defineTask` and `defineEvent`. */
export interface DefinitionOptions<Input, Output> {
  /** Letters, digits, `.`, `_` and `-`, at most 100 of them. */
  name: string
  /** Any Standard Schema (Zod, Valibot, ArkType …), or `jsonSchema` from `/ajv`. Checked when sending and when handling. */
  schema: Schema<Input, Output>
  /** @defaultValue `backoff({ attempts: 5, firstMs: 1000, factor: 4 })` */
  retry?: RetryPolicy | undefined
  /** How long one call of the handler may take, in milliseconds; at most 25 minutes. @defaultValue `60_000` */
  timeoutMs?: number | undefined
}

/**
 * Defines a task: work that one worker does once, and again when it fails.
 *
 * @param options - name, schema, `retry` (default five attempts after 1, 4, 16 and 64 s) and `timeoutMs` (default 60,000 ms)
 * @returns the definition that `enqueue` and `work` take
 * @throws QueueError `INVALID_OPTION` for a bad name or number
 * @example
 * ```ts
 * import { backoff, defineTask } from '@countersign/queue-adapter'
 * import { jsonSchema } from '@countersign/queue-adapter/ajv'
 *
 * export const sendInvite = defineTask({
 *   name: 'invite.send',
 *   schema: jsonSchema<{ userId: string }>({
 *     type: 'object',
 *     properties: { userId: { type: 'string' } },
 *     required: ['userId'],
 *   }),
 *   retry: backoff({ attempts: 5, firstMs: 1000, factor: 4 }),
 *   timeoutMs: 30_000,
 * })
 * ```
 */
export function defineTask<Input, Output = Input>(options: DefinitionOptions<Input, Output>): Task<Input, Output> {
  return Object.freeze({ kind: 'task', ...definition(options) })
}

/**
 * Defines a topic event: a fact that every group of subscribers receives once.
 *
 * @param options - as for `defineTask`; `retry` and `timeoutMs` are for each group's handler
 * @returns the definition that `emit` and `subscribe` take
 * @throws QueueError `INVALID_OPTION` for a bad name or number
 * @example
 * ```ts
 * import { defineEvent } from '@countersign/queue-adapter'
 * import { jsonSchema } from '@countersign/queue-adapter/ajv'
 *
 * export const userChanged = defineEvent({
 *   name: 'user.changed',
 *   schema: jsonSchema<{ userId: string }>({
 *     type: 'object',
 *     properties: { userId: { type: 'string' } },
 *     required: ['userId'],
 *   }),
 * })
 * ```
 */
export function defineEvent<Input, Output = Input>(
  options: DefinitionOptions<Input, Output>,
): TopicEvent<Input, Output> {
  return Object.freeze({ kind: 'event', ...definition(options) })
}

/** Refuses a name that could not be a part of a queue's name. */
export function checkName(what: string, name: string): string {
  if (typeof name === 'string' && namePattern.test(name)) return name
  throw invalidOption(what, 'letters, digits, ".", "_" and "-", at most 100, starting with a letter or digit', name)
}

function definition<Input, Output>(options: DefinitionOptions<Input, Output>): Omit<Task<Input, Output>, 'kind'> {
  const { retry = backoff({ attempts: 5, firstMs: 1000, factor: 4 }), timeoutMs = defaultTimeoutMs } = options
  const name = checkName('name', options.name)
  const schema = options.schema as Schema<Input, Output> | undefined
  if (typeof schema?.['~standard']?.validate !== 'function') throw invalidOption('schema', 'a Standard Schema', schema)
  wholeNumber('retry.attempts', retry.attempts, { min: 1, max: 1000 })
  wholeNumber('timeoutMs', timeoutMs, { min: 1, max: longestTimeoutMs })
  return { name, schema, retry, timeoutMs }
}
