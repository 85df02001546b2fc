import { createHash, randomUUID } from 'node:crypto'
import type { Actor, AuditEvent, Outcome, RequestFacts, Severity } from '../audit-event.ts'
import { type AuditContext, currentAuditContext, runInAuditContext } from './context.ts'
import type { Decisions } from './decision.ts'
import { denialEvent } from './denial.ts'

/** What this package's middleware needs of an audit log. */
export interface RequestRecorder {
  /** Runs `work` with `context` laid over the running one. */
  run<T>(context: AuditContext, work: () => T): T
  /** Resolves once the event is durable. */
  recordDurably(event: AuditEvent): Promise<unknown>
}

/** Who stands behind a request; known only once the session has been read. */
export interface Identity {
  readonly actor?: Actor | undefined
  /** The session's id itself; only its hash is recorded. */
  readonly sessionId?: string | undefined
  readonly tenantId?: string | undefined
}

/** What a finished request tells about itself. */
export interface RequestEnd {
  readonly request: RequestFacts
  readonly decisions: Decisions
  /** Sizes, aborts and the like. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

const safeId = /^[\w.-]{1,128}$/
const traceparent = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const longestAgent = 512

/**
 * Takes over the first correlation id in safe form, else makes a new one.
 *
 * @param offered - What a client sent, in order of preference.
 * @returns An id that may join rows, log lines and headers: 1 to 128 letters, digits, `.`, `_` and `-`.
 */
export function correlationIdFrom(...offered: readonly (string | undefined)[]): string {
  return offered.find(id => id !== undefined && safeId.test(id)) ?? randomUUID()
}

/** Gives `header` if it is a valid W3C trace parent. */
export function traceparentFrom(header: string | undefined): string | undefined {
  return header !== undefined && traceparent.test(header) ? header : undefined
}

/** Gives an IPv4 address as such where the socket shows it as an IPv6 one. */
export function addressFrom(ip: string): string {
  return ip.startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip
}

/** Cuts what a client tells of itself to a storable length. */
export function userAgentFrom(header: string | undefined): string | undefined {
  return header === undefined || header === '' ? undefined : header.slice(0, longestAgent)
}

/** Tells whether a request of this method may change something. Source: RFC 9110, section 9.2.1. */
export function isUnsafe(method: string): boolean {
  return !safeMethods.has(method)
}

/**
 * Hashes a session's id for the log: rows of one session can be found by who knows the id, and nobody can take the
 * session over with what the log shows.
 */
export function hashSessionId(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}

/** Runs `work` in the running context, with who is behind it asked for whenever a row is written. */
export function runIdentified<T>(identity: () => Identity, work: () => T): T {
  const base = currentAuditContext() ?? {}
  return runInAuditContext(
    {
      ...base,
      get actor() {
        return identity().actor ?? base.actor
      },
      get sessionId() {
        const { sessionId } = identity()
        return sessionId === undefined ? base.sessionId : hashSessionId(sessionId)
      },
      get tenantId() {
        return identity().tenantId ?? base.tenantId
      },
    },
    work,
  )
}

/** Makes the rows of a finished request: one of its own if `isRecorded`, and one for every denial. */
export function requestEvents(end: RequestEnd, isRecorded: boolean): AuditEvent[] {
  const denials = end.decisions.denied.map(denialEvent)
  return isRecorded ? [requestEvent(end), ...denials] : denials
}

function requestEvent({ request, decisions, metadata }: RequestEnd): AuditEvent {
  const { denied, allowed, omitted } = decisions
  const outcome = outcomeOf(request.status, denied.length > 0)
  return {
    action: 'http.request',
    outcome,
    severity: severityOf(outcome, request.status),
    request,
    metadata: {
      ...metadata,
      ...(denied.length + allowed.length > 0 && { decisions: [...denied, ...allowed] }),
      ...(omitted > 0 && { decisionsOmitted: omitted }),
    },
  }
}

function outcomeOf(status: number | undefined, wasDenied: boolean): Outcome {
  if (status === undefined || status < 400) return 'success'
  return status === 401 || status === 403 || (wasDenied && status === 404) ? 'denied' : 'failure'
}

function severityOf(outcome: Outcome, status: number | undefined): Severity {
  return outcome === 'denied' || (status ?? 0) >= 500 ? 'warn' : 'info'
}

/** Makes the row of an answer that was sent as a stream and did not reach its end. */
export function abortedEvent(request: RequestFacts): AuditEvent {
  return { action: 'http.response_aborted', outcome: 'failure', severity: 'warn', request }
}
