import { AsyncLocalStorage } from 'node:async_hooks'
import type { Actor, AuditEvent, RequestFacts } from '../audit-event.ts'
import { collectDecisions, type Decisions } from './decision.ts'
import { denialEvent } from './denial.ts'
import {
  abortedEvent,
  addressFrom,
  correlationIdFrom,
  type Identity,
  isUnsafe,
  type RequestRecorder,
  requestEvents,
  runIdentified,
  traceparentFrom,
  userAgentFrom,
} from './request.ts'
import { reportUnrecorded } from './unrecorded.ts'

/** How requests are recorded; `Request` is what the framework gives a handler. */
export interface RequestAuditOptions<Request> {
  /** The log; `createAuditLog` makes one. */
  readonly audit: RequestRecorder
  /** Who acts. Asked whenever a row is written, so a session that is opened further down counts. */
  readonly actor?: ((request: Request) => Actor | undefined) | undefined
  /** The session's id; only its SHA-256 is recorded. Asked as `actor` is. */
  readonly sessionId?: ((request: Request) => string | undefined) | undefined
  /** The tenant. Asked as `actor` is. */
  readonly tenantId?: ((request: Request) => string | undefined) | undefined
  /** Requests that get no row of their own, such as health checks; their denials are recorded all the same. */
  readonly skip?: ((request: Request) => boolean) | undefined
  /** Whether requests that only read (GET, HEAD, OPTIONS) get a row too. @defaultValue `false` */
  readonly reads?: boolean | ((request: Request) => boolean) | undefined
  /** Whether granted decisions are kept with the request beside the denials. @defaultValue `false` */
  readonly allowedDecisions?: boolean | undefined
  /** Whether the parsed request body is recorded; the log sanitizes it. @defaultValue `false` */
  readonly requestBody?: boolean | ((request: Request) => boolean) | undefined
}

/** What a request tells of itself when it comes in. */
export interface Arrival {
  readonly method: string
  readonly ip: string | undefined
  header(name: string): string | undefined
}

/** How a request is answered. */
export interface Answer {
  /** The route's template where it is known, else the path; never the query string. */
  readonly path: string
  readonly status: number
  readonly data?: unknown
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

/** A request while it is served. */
export interface ServedRequest {
  readonly correlationId: string
  /**
   * Writes the rows of a request: at the first call its own and one for every denial, later the denials since. Resolves
   * once they are durable.
   */
  record(answer: Answer): Promise<void>
  /** Does the same and tells whether the answer may be sent: a success that could not be recorded may not. */
  settle(answer: Answer): Promise<boolean>
  /** Writes a further row when an answer that was recorded did not reach its end; rejects where it cannot be stored. */
  recordAbort(): Promise<void>
}

/** Serves a request in an audit context of its own; `serve` runs once. */
export function serveRequest<Request, T>(
  options: RequestAuditOptions<Request>,
  request: Request,
  arrival: Arrival,
  serve: (served: ServedRequest) => T,
): T {
  const correlationId = correlationIdFrom(arrival.header('x-correlation-id'), arrival.header('x-request-id'))
  const origin = {
    correlationId,
    ip: arrival.ip === undefined ? undefined : addressFrom(arrival.ip),
    userAgent: userAgentFrom(arrival.header('user-agent')),
    traceparent: traceparentFrom(arrival.header('traceparent')),
  }
  const identity = (): Identity => ({
    actor: options.actor?.(request),
    sessionId: options.sessionId?.(request),
    tenantId: options.tenantId?.(request),
  })
  return options.audit.run(origin, () =>
    runIdentified(identity, () =>
      collectDecisions(decisions => serve(servedRequest(options, request, arrival, correlationId, decisions)), {
        allowed: options.allowedDecisions,
      }),
    ),
  )
}

function servedRequest<Request>(
  options: RequestAuditOptions<Request>,
  request: Request,
  { method }: Arrival,
  correlationId: string,
  decisions: () => Decisions,
): ServedRequest {
  const startedAt = performance.now()
  // An answer may be sent from an event of a socket or a timer, outside of the request's context.
  const inContext = AsyncLocalStorage.snapshot()
  let facts: RequestFacts | undefined
  let isRecorded = false
  let denials = 0

  const write = async (events: readonly AuditEvent[]): Promise<void> => {
    await inContext(() => Promise.all(events.map(event => options.audit.recordDurably(event))))
  }

  const record = async ({ path, status, data, metadata }: Answer): Promise<void> => {
    const found = decisions()
    const since = found.denied.slice(denials)
    denials = found.denied.length
    if (facts !== undefined) return write(since.map(denialEvent))
    facts = {
      method,
      path,
      status,
      durationMs: performance.now() - startedAt,
      ...(chosen(options.requestBody, request) && { data }),
    }
    const isDenied = denials > 0 || status === 401 || status === 403
    isRecorded = options.skip?.(request) !== true && (isUnsafe(method) || isDenied || chosen(options.reads, request))
    return write(requestEvents({ request: facts, decisions: found, metadata }, isRecorded))
  }

  const settle = async (answer: Answer): Promise<boolean> => {
    try {
      await record(answer)
      return true
    } catch (failure) {
      reportUnrecorded('http.request', failure)
      return answer.status >= 400
    }
  }

  const recordAbort = async (): Promise<void> => {
    if (facts === undefined || !isRecorded) return
    await write([abortedEvent({ ...facts, data: undefined, durationMs: performance.now() - startedAt })])
  }

  return { correlationId, record, settle, recordAbort }
}

function chosen<Request>(option: boolean | ((request: Request) => boolean) | undefined, request: Request): boolean {
  return typeof option === 'function' ? option(request) : (option ?? false)
}

/** What is known of an answer beside its status. */
export interface AnswerFacts {
  readonly requestLength: string | undefined
  readonly responseLength: string | undefined
  readonly isStreamed?: boolean | undefined
  readonly isAborted?: boolean | undefined
}

/** Gives the sizes in bytes as far as they are known, and whether the client went away before its answer. */
export function answerMetadata(facts: AnswerFacts): Readonly<Record<string, unknown>> {
  const requestBytes = bytesIn(facts.requestLength)
  const responseBytes = bytesIn(facts.responseLength)
  return {
    ...(requestBytes !== undefined && { requestBytes }),
    ...(responseBytes !== undefined && { responseBytes }),
    ...(facts.isStreamed === true && { streamed: true }),
    ...(facts.isAborted === true && { aborted: true }),
  }
}

function bytesIn(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}

/** Tells whether a body is sent piece by piece. */
export function isStream(body: unknown): boolean {
  if (body instanceof ReadableStream || body instanceof Blob || body instanceof Response) return true
  return typeof body === 'object' && body !== null && 'pipe' in body && typeof body.pipe === 'function'
}

/** Records that the client has gone: before it was answered, or while the answer was on its way. */
export function recordDeparture(served: ServedRequest, unanswered: Answer | undefined): void {
  const recorded = unanswered === undefined ? served.recordAbort() : served.record(unanswered)
  recorded.catch((failure: unknown) => {
    reportUnrecorded(unanswered === undefined ? 'http.response_aborted' : 'http.request', failure)
  })
}

/** The status under which a request is recorded whose client went away before there was an answer, as nginx logs it. */
export const clientClosedRequest = 499
