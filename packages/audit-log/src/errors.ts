// Two copies of this package in one process recognise each other's errors by it.
const marker = Symbol.for('countersign.audit-log.error')

/** The base of every error this package throws: a stable `code` for programs, a message for people. */
export abstract class AuditError extends Error {
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    Object.defineProperty(this, marker, { value: true })
    Object.defineProperty(this, marker, { value: true })
  }

  /**
   * Tells whether `value` is an error of this package, also of another copy of it.
   *
   * @param value - Anything that was thrown.
   * @returns True for an audit error.
   */
  static isInstance(value: unknown): value is AuditError {
    return typeof value === 'object' && value !== null && marker in value
  }
}

/** Thrown for an event that cannot be recorded as it stands; `field` names the part and `expected` what belongs there. */
export class AuditEventError extends AuditError {
  readonly code = 'AUDIT_EVENT_INVALID'
  readonly field: string
  readonly expected: string

  constructor(field: string, expected: string) {
    super(`The audit event's ${field} must be ${expected}.`)
    this.field = field
    this.expected = expected
  }
}

/** Thrown for an option of this package that cannot work; `option` names it and `expected` what belongs there. */
export class AuditOptionError extends AuditError {
  readonly code = 'AUDIT_OPTION_INVALID'
  readonly option: string
  readonly expected: string

  constructor(option: string, expected: string) {
    super(`The option ${option} must be ${expected}.`)
    this.option = option
    this.expected = expected
  }
}

/** Thrown where an action must not succeed unrecorded and its row could not be written; answered with status 503. */
export class NotRecordedError extends AuditError {
  readonly code = 'AUDIT_NOT_RECORDED'
  readonly status = 503
  readonly expose = false

  constructor(cause: unknown) {
    super('The request could not be recorded in the audit log.', { cause })
  }
}

/** Thrown by `record` when it is not given an open transaction. */
export class AuditTransactionRequiredError extends AuditError {
  readonly code = 'AUDIT_TRANSACTION_REQUIRED'

  constructor() {
    super('record() needs the open transaction of the change it records; without one, use recordDurably().')
  }
}

/**
 * Thrown by `recordDurably` when the event was not known to be stored by its deadline. It may have been stored all the
 * same: recording it again with `eventId` as its id cannot store it twice.
 */
export class AuditNotDurableError extends AuditError {
  readonly code = 'AUDIT_NOT_DURABLE'
  readonly eventId: string
  /** Whether the same event may be stored later: false where the database refused its content. */
  readonly retryable: boolean

  constructor(eventId: string, reason: string, options: ErrorOptions & { readonly retryable: boolean }) {
    super(`The audit event ${eventId} is not known to be stored: ${reason}.`, options)
    this.eventId = eventId
    this.retryable = options.retryable
  }
}

/** Thrown by `recordDurably` when as many events as the log may hold in memory are already waiting. */
export class AuditQueueFullError extends AuditError {
  readonly code = 'AUDIT_QUEUE_FULL'
  readonly limit: number

  constructor(limit: number) {
    super(`${limit} audit events are already waiting for the database.`)
    this.limit = limit
  }
}

/** Thrown when the audit log is used after `close`. */
export class AuditLogClosedError extends AuditError {
  readonly code = 'AUDIT_LOG_CLOSED'

  constructor() {
    super('The audit log is closed.')
  }
}
