import type { ConsumeMessage, GetMessage, Options } from 'amqplib'
import { uuidv7 } from '../id.ts'
import type { Failure, Message, OutgoingMessage } from '../message.ts'

/** Writes a message as AMQP properties. Only text and numbers: amqplib drops or throws on other header values. */
export function propertiesOf(message: OutgoingMessage): Options.Publish {
  const { failure, attempt, notBefore, source } = message
  const headers: Record<string, string | number> = { ...message.headers }
  if (attempt > 1) headers['x-attempt'] = attempt
  if (notBefore !== undefined) headers['x-not-before'] = notBefore
  if (source !== undefined) headers['x-error-queue'] = source
  if (failure) {
    headers['x-error-reason'] = failure.reason
    headers['x-error-type'] = failure.errorType
    headers['x-error-message'] = failure.errorMessage
    headers['x-error-stack'] = failure.stackDigest
    headers['x-error-attempts'] = failure.attempts
    headers['x-error-at'] = failure.at
  }
  return { messageId: message.id, type: message.type, contentType: 'application/json', persistent: true, headers }
}

/** Reads what `propertiesOf` wrote, and makes do with what other programs publish. */
export function messageOf({
  content,
  properties,
  fields,
}: ConsumeMessage | GetMessage): Message & { notBefore: number } {
  const raw = (properties.headers ?? {}) as Readonly<Record<string, unknown>>
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(raw)) {
    if (typeof value === 'string' && !name.startsWith('x-')) headers[name] = value
  }
  const failure = failureOf(raw)
  return {
    id: text(properties.messageId) || uuidv7(),
    type: text(properties.type) || fields.routingKey,
    body: content,
    headers,
    attempt: number(raw['x-attempt'], 1),
    notBefore: number(raw['x-not-before'], 0),
    source: failure && (text(raw['x-error-queue']) || text(raw['x-first-death-queue'])),
    failure,
  }
}

function failureOf(raw: Readonly<Record<string, unknown>>): Failure | undefined {
  const reason = text(raw['x-error-reason'])
  if (reason === 'failed' || reason === 'invalid' || reason === 'undecodable' || reason === 'crash-loop') {
    return {
      reason,
      errorType: text(raw['x-error-type']),
      errorMessage: text(raw['x-error-message']),
      stackDigest: text(raw['x-error-stack']),
      attempts: number(raw['x-error-attempts'], 1),
      at: number(raw['x-error-at'], 0),
    }
  }
  if (raw['x-first-death-reason'] !== 'delivery_limit') return undefined
  const [death] = Array.isArray(raw['x-death']) ? (raw['x-death'] as { time?: { value?: unknown } }[]) : []
  return {
    reason: 'crash-loop',
    errorType: 'DeliveryLimit',
    errorMessage: 'its workers ended before they answered, again and again',
    stackDigest: '',
    attempts: number(raw['x-attempt'], 1),
    at: number(death?.time?.value, 0) * 1000,
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function number(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise
}
