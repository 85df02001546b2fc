const marker = Symbol.for('countersign.audit-log.error')

/** Is the base of every error that this package throws; `code` is stable, the message is for people. */
export abstract class AuditError extends Error {
  abstract readonly code: string
  readonly [marker] = true

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }

  /** Tells whether `value` is an error of this package, also one of another installed copy. */
  static isInstance(value: unknown): value is AuditError {
    return typeof value === 'object' && value !== null && marker in value
  }
}

/** Is thrown when an event is not well formed; `field` names the part at fault. */
export class InvalidAuditEventError extends AuditError {
  readonly code = 'INVALID_AUDIT_EVENT'
  readonly field: string

  constructor(field: string, expected: string, options?: ErrorOptions) {
    super(`audit event: ${field} must be ${expected}`, options)
    this.field = field
  }
}

/** Is thrown when an option, a filter or a table's policy is wrong; `option` names it. */
export class InvalidAuditOptionError extends AuditError {
  readonly code = 'INVALID_AUDIT_OPTION'
  readonly option: string

  constructor(option: string, expected: string, options?: ErrorOptions) {
    super(`${option} must be ${expected}`, options)
    this.option = option
  }
}

/** Is thrown by `record` when it is not given an open transaction. */
export class AuditTransactionRequiredError extends AuditError {
  readonly code = 'AUDIT_TRANSACTION_REQUIRED'

  constructor() {
    super('record() needs the open transaction of the change it records; without one use recordDurably()')
  }
}

/**
 * Is thrown by `recordDurably` when the event was not known to be stored by its deadline. It may have been stored all
 * the same: recording it again with `eventId` as its id cannot store it twice.
 */
export class AuditNotDurableError extends AuditError {
  readonly code = 'AUDIT_NOT_DURABLE'
  readonly eventId: string

  constructor(eventId: string, reason: string, options?: ErrorOptions) {
    super(`audit event ${eventId} is not known to be stored: ${reason}`, options)
    this.eventId = eventId
  }
}

/** Is thrown by `recordDurably` when as many events as the log may hold in memory are already waiting. */
export class AuditQueueFullError extends AuditError {
  readonly code = 'AUDIT_QUEUE_FULL'
  readonly limit: number

  constructor(limit: number) {
    super(`${limit} audit events are already waiting for the database`)
    this.limit = limit
  }
}

/** Is thrown when the audit log is used after `close`. */
export class AuditLogClosedError extends AuditError {
  readonly code = 'AUDIT_LOG_CLOSED'

  constructor() {
    super('the audit log is closed')
  }
}
