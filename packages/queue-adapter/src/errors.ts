import { createHash } from 'node:crypto'
import type { SchemaIssue } from './schema.ts'

const marker = Symbol.for('countersign.queue-adapter.error')

/** The codes of every error of this package. */
export type QueueErrorCode =
  | 'INVALID_OPTION'
  | 'INVALID_PAYLOAD'
  | 'UNKNOWN_TASK'
  | 'BROKER_UNAVAILABLE'
  | 'BROKER_REFUSED'
  | 'PUBLISH_UNKNOWN'
  | 'PUBLISH_REJECTED'
  | 'QUEUE_FULL'
  | 'QUEUE_CLOSED'
  | 'TOPOLOGY_MISMATCH'
  | 'HANDLER_TIMEOUT'

/** Is the base of every error this package throws; `code` says which one it is. */
export class QueueError extends Error {
  readonly code: QueueErrorCode

  constructor(code: QueueErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
    this.code = code
    Object.defineProperty(this, marker, { value: true })
  }

  /** Recognises the errors of every copy of this package in the process. */
  static isInstance(value: unknown): value is QueueError {
    return typeof value === 'object' && value !== null && marker in value
  }
}

/** Is thrown with code `INVALID_PAYLOAD` when an input fails its schema or cannot be written as JSON. */
export class InvalidPayloadError extends QueueError {
  readonly task: string
  readonly issues: readonly SchemaIssue[]

  constructor(task: string, issues: readonly SchemaIssue[], options?: { cause?: unknown }) {
    const where = issues.map(issue => `${pathOf(issue) || 'the payload'}: ${issue.message}`).join('; ')
    super('INVALID_PAYLOAD', `${task}: ${where}`, options)
    this.task = task
    this.issues = issues
  }
}

/**
 * Is thrown with code `PUBLISH_UNKNOWN` when a message was sent and its confirmation never came: it may have arrived.
 * Send it again with the same id.
 */
export class PublishUnknownError extends QueueError {
  readonly messageId: string

  constructor(messageId: string, why: string, options?: { cause?: unknown }) {
    super('PUBLISH_UNKNOWN', `${messageId}: ${why}; it may have arrived, so send it again with the same id`, options)
    this.messageId = messageId
  }
}

/** Is thrown with code `TOPOLOGY_MISMATCH` when a queue exists with other arguments than this version declares. */
export class TopologyMismatchError extends QueueError {
  readonly queue: string
  readonly argument: string
  readonly declared: string
  readonly existing: string

  constructor(
    difference: { queue: string; argument: string; declared: string; existing: string },
    options?: { cause?: unknown },
  ) {
    const { queue, argument, declared, existing } = difference
    super(
      'TOPOLOGY_MISMATCH',
      `${queue}: ${argument} is ${existing} on the broker and ${declared} here. ` +
        `Stop its publishers, let the workers empty it, delete it and start again: it is declared anew`,
      options,
    )
    this.queue = queue
    this.argument = argument
    this.declared = declared
    this.existing = existing
  }
}

export function invalidOption(name: string, expected: string, value: unknown): QueueError {
  return new QueueError('INVALID_OPTION', `${name} must be ${expected}, not ${describeValue(value)}`)
}

/** Refuses everything but a whole number within the bounds. */
export function wholeNumber(name: string, value: number, bounds: { min: number; max: number }): number {
  if (Number.isInteger(value) && value >= bounds.min && value <= bounds.max) return value
  throw invalidOption(name, `a whole number from ${bounds.min} to ${bounds.max}`, value)
}

function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

function pathOf(issue: SchemaIssue): string {
  return (issue.path ?? [])
    .map(part => (typeof part === 'object' ? part.key : part))
    .map(String)
    .join('.')
}

/** A short fingerprint of where an error was thrown, equal for equal stacks whatever the message says. */
export function stackDigest(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const frames = stack.split('\n').filter(line => line.trimStart().startsWith('at '))
  return createHash('sha256').update(frames.join('\n')).digest('hex').slice(0, 16)
}
