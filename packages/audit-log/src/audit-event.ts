/** Who did it: a person or a program; `impersonatorId` names the person behind a borrowed identity. */
export interface Actor {
  readonly id: string
  readonly type: 'user' | 'service'
  readonly impersonatorId?: string | undefined
}

/** What it was done to; `repr` is a short text for people, kept because the thing itself may be gone. */
export interface Resource {
  readonly type: string
  readonly id?: string | undefined
  readonly repr?: string | undefined
}

/** How it ended: `denied` by a guard, `failure` by an error. */
export type Outcome = 'success' | 'failure' | 'denied'

/** The levels of the OWASP Logging Vocabulary. */
export type Severity = 'info' | 'warn' | 'critical'

/** The HTTP request an event belongs to; `path` is the route's template where the framework tells it. */
export interface RequestFacts {
  readonly method: string
  readonly path: string
  readonly data?: unknown
  readonly status?: number | undefined
  readonly durationMs?: number | undefined
}

/** What happened, as a caller reports it; who, from where and in which request come from the audit context. */
export interface AuditEvent {
  /** A UUID of version 7 that names the event: recorded twice, it is stored once. @defaultValue a new one */
  readonly id?: string | undefined
  readonly action: string
  readonly resource?: Resource | undefined
  readonly outcome?: Outcome | undefined
  readonly severity?: Severity | undefined
  readonly message?: string | undefined
  readonly request?: RequestFacts | undefined
  readonly oldValues?: Readonly<Record<string, unknown>> | undefined
  readonly newValues?: Readonly<Record<string, unknown>> | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

/** The event as stored. Times are ISO 8601 in UTC; a missing value is null. */
export interface AuditRow {
  readonly id: string
  readonly createdAt: string
  readonly action: string
  readonly outcome: Outcome
  readonly severity: Severity
  readonly actorType: Actor['type'] | null
  readonly userId: string | null
  readonly impersonatorId: string | null
  readonly sessionId: string | null
  readonly ipAddress: string | null
  readonly userAgent: string | null
  readonly tenantId: string | null
  readonly correlationId: string | null
  readonly causationId: string | null
  readonly resourceType: string | null
  readonly resourceId: string | null
  readonly resourceRepr: string | null
  readonly requestMethod: string | null
  readonly requestPath: string | null
  readonly requestData: unknown
  readonly responseStatus: number | null
  readonly durationMs: number | null
  readonly oldValues: Readonly<Record<string, unknown>> | null
  readonly newValues: Readonly<Record<string, unknown>> | null
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly message: string | null
  readonly source: string | null
}
