import type { ContextCarrier } from './carrier.ts'
import { InvalidPayloadError, invalidOption, wholeNumber } from './errors.ts'
import { uuidv7 } from './id.ts'
import { priorities, type MessageHeaders, type Priority } from './message.ts'
import { longestDelayMs } from './retry.ts'
import { validate } from './schema.ts'
import type { Task, TopicEvent } from './task.ts'

/** The largest payload, in bytes of JSON: RabbitMQ 4 takes no larger message by default. */
const maxBodyBytes = 16 * 1024 * 1024
const maxHeaderBytes = 16 * 1024
const headerName = /^[A-Za-z][A-Za-z0-9_.-]{0,99}$/

/** How one message is sent. */
export interface EmitOptions {
  /** What the message is known by; a repeated send with the same id is recognised as the same work. @defaultValue a UUID v7 */
  id?: string | undefined
  /** Text that travels beside the payload, at most 16 KiB; it wins over what the carrier captured. */
  headers?: MessageHeaders | undefined
}

/** How one task is sent. */
export interface EnqueueOptions extends EmitOptions {
  /** @defaultValue `'normal'` */
  priority?: Priority | undefined
  /** How long it rests before a worker may have it, in milliseconds. @defaultValue `0` */
  delayMs?: number | undefined
}

/** A checked message that is ready to be published, now or out of an outbox. */
export interface PreparedMessage {
  readonly kind: 'task' | 'event'
  readonly name: string
  readonly id: string
  readonly priority: Priority
  readonly headers: MessageHeaders
  readonly body: Uint8Array
  readonly notBefore?: number | undefined
}

/** Checks everything a caller can get wrong, before anything is sent; waits only for a schema that is asynchronous. */
export function prepare<Input, Output>(
  definition: Task<Input, Output> | TopicEvent<Input, Output>,
  input: Input,
  options: EnqueueOptions,
  carrier: ContextCarrier,
): PreparedMessage | Promise<PreparedMessage> {
  const { id = uuidv7(), priority = 'normal', delayMs = 0 } = options
  if (typeof id !== 'string' || id === '' || Buffer.byteLength(id) > 255) {
    throw invalidOption('id', 'a text of 1 to 255 bytes', id)
  }
  if (!priorities.includes(priority)) throw invalidOption('priority', "'low', 'normal' or 'high'", priority)
  wholeNumber('delayMs', delayMs, { min: 0, max: longestDelayMs })
  const headers = checkHeaders({ ...carrier.capture(), ...options.headers })
  const checked = validate(definition.schema, definition.name, input)
  const { kind, name } = definition
  const notBefore = delayMs > 0 ? Date.now() + delayMs : undefined
  const message = (): PreparedMessage => {
    return { kind, name, id, priority, headers, body: encode(name, input), notBefore }
  }
  return checked instanceof Promise ? checked.then(message) : message()
}

function encode(name: string, input: unknown): Uint8Array {
  let text: string | undefined
  try {
    text = JSON.stringify(input)
  } catch (cause) {
    throw new InvalidPayloadError(name, [{ message: 'cannot be written as JSON (a cycle or a BigInt)' }], { cause })
  }
  if (text === undefined) throw new InvalidPayloadError(name, [{ message: 'cannot be written as JSON' }])
  const body = Buffer.from(text)
  if (body.length <= maxBodyBytes) return body
  const message = `is ${body.length} bytes of JSON and may be ${maxBodyBytes}; store it elsewhere and send a reference`
  throw new InvalidPayloadError(name, [{ message }])
}

function checkHeaders(headers: Record<string, string>): MessageHeaders {
  let bytes = 0
  for (const [name, value] of Object.entries(headers) as [string, unknown][]) {
    if (!headerName.test(name) || /^x-/i.test(name)) {
      throw invalidOption('headers', 'named by letters, digits, ".", "_" and "-", and not "x-…"', name)
    }
    if (typeof value !== 'string') throw invalidOption(`headers.${name}`, 'a text', value)
    bytes += name.length + Buffer.byteLength(value)
  }
  if (bytes > maxHeaderBytes) throw invalidOption('headers', `at most ${maxHeaderBytes} bytes`, bytes)
  return headers
}
