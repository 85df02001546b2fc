import { AsyncResource } from 'node:async_hooks'
import type { Actor, RequestFacts } from '../audit-event.ts'
import { collectDecisions, type Decisions } from '../collection/decision.ts'
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
} from '../collection/request.ts'
import { NotRecordedError } from '../errors.ts'
import type { KoaContextLike, KoaMiddlewareLike } from './koa-like.ts'
import { isStream, responseFacts, routeOf, statusOfError } from './koa-response.ts'

/** How requests are recorded. */
export interface KoaAuditOptions {
  /** The log; `createAuditLog` makes one. */
  readonly audit: RequestRecorder
  /** Who acts. Asked whenever a row is written, so a session that is opened further down counts. */
  readonly actor?: ((ctx: KoaContextLike) => Actor | undefined) | undefined
  /** The session's id; only its SHA-256 is recorded. Asked as `actor` is. */
  readonly sessionId?: ((ctx: KoaContextLike) => string | undefined) | undefined
  /** The tenant. Asked as `actor` is. */
  readonly tenantId?: ((ctx: KoaContextLike) => string | undefined) | undefined
  /** Requests that get no row of their own, such as health checks; their denials are recorded all the same. */
  readonly skip?: ((ctx: KoaContextLike) => boolean) | undefined
  /** Whether requests that only read (GET, HEAD, OPTIONS) get a row too. @defaultValue `false` */
  readonly reads?: boolean | ((ctx: KoaContextLike) => boolean) | undefined
  /** Whether granted decisions are kept with the request beside the denials. @defaultValue `false` */
  readonly allowedDecisions?: boolean | undefined
  /** Whether the parsed request body is recorded; the log sanitizes it. @defaultValue `false` */
  readonly requestBody?: boolean | ((ctx: KoaContextLike) => boolean) | undefined
  /** The status with which an error handler around this middleware answers an error. @defaultValue Koa's own rule */
  readonly errorStatus?: ((error: unknown) => number) | undefined
}

/**
 * Makes Koa middleware that records requests and access denials before the response is sent.
 *
 * It takes over a correlation id from `x-correlation-id` or `x-request-id` (or makes one), answers with it, and opens the
 * audit context in which everything further down is recorded. When the rest has run it writes a row for the request
 * (`http.request`) and one `authz_fail` for every denial, and ends once they are durable. An error from further down is
 * recorded with the status it will be answered with and thrown on as it is. Use it before all middleware whose work is to
 * be recorded.
 *
 * Nothing that was to be recorded succeeds without its row: when the rows cannot be stored, the answer is 503. What the
 * request changed by then stays changed, and the rows of the changes themselves were committed with them. A handler that
 * writes to `ctx.res` itself answers before its row is stored.
 *
 * @param options - The log and what to record; by default every request that may change something and every denial.
 * @returns The middleware.
 * @throws NotRecordedError `AUDIT_NOT_RECORDED` (status 503) while serving, when the rows cannot be stored and the
 *   request had not failed by itself.
 * @example
 * ```ts
 * import { createAuditLog } from '@countersign/audit-log'
 * import { koaAudit } from '@countersign/audit-log/koa'
 * import { postgresAuditStore } from '@countersign/audit-log/objection'
 * import Knex from 'knex'
 * import Koa from 'koa'
 *
 * const knex = Knex({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const audit = createAuditLog({ store: postgresAuditStore({ knex }) })
 * const app = new Koa()
 * app.use(
 *   koaAudit({
 *     audit,
 *     actor: ctx => (ctx.state.session ? { id: ctx.state.session.userId, type: 'user' } : undefined),
 *     skip: ctx => ctx.path === '/health',
 *   }),
 * )
 * ```
 */
export function koaAudit(options: KoaAuditOptions): KoaMiddlewareLike {
  const { audit } = options

  return async function auditRequest(ctx, next) {
    const correlationId = correlationIdFrom(ctx.get('x-correlation-id'), ctx.get('x-request-id'))
    ctx.set('x-correlation-id', correlationId)
    const origin = {
      correlationId,
      ip: addressFrom(ctx.ip),
      userAgent: userAgentFrom(ctx.get('user-agent')),
      traceparent: traceparentFrom(ctx.get('traceparent')),
    }
    const identity = (): Identity => identityOf(ctx, options)
    await audit.run(origin, () =>
      runIdentified(identity, () =>
        collectDecisions(decisions => serve(ctx, next, options, correlationId, decisions), {
          allowed: options.allowedDecisions,
        }),
      ),
    )
  }
}

function identityOf(ctx: KoaContextLike, { actor, sessionId, tenantId }: KoaAuditOptions): Identity {
  return { actor: actor?.(ctx), sessionId: sessionId?.(ctx), tenantId: tenantId?.(ctx) }
}

async function serve(
  ctx: KoaContextLike,
  next: () => Promise<unknown>,
  options: KoaAuditOptions,
  correlationId: string,
  decisions: () => Decisions,
): Promise<void> {
  const startedAt = performance.now()
  const { errorStatus = statusOfError } = options
  try {
    await next()
  } catch (error) {
    keepHeader(error, correlationId)
    try {
      await record(ctx, options, decisions(), errorStatus(error), startedAt)
    } catch (failure) {
      // The client is told of its own error; the missing row is the operator's matter.
      ctx.app.emit('error', new NotRecordedError(failure), ctx)
    }
    throw error
  }
  try {
    await record(ctx, options, decisions(), ctx.status, startedAt)
  } catch (failure) {
    const error = new NotRecordedError(failure)
    keepHeader(error, correlationId)
    throw error
  }
}

async function record(
  ctx: KoaContextLike,
  options: KoaAuditOptions,
  decisions: Decisions,
  status: number,
  startedAt: number,
): Promise<void> {
  const isDenied = decisions.denied.length > 0 || status === 401 || status === 403
  const isChange = isUnsafe(ctx.method)
  const isRecorded = options.skip?.(ctx) !== true && (isChange || isDenied || chosen(options.reads, ctx))
  const request = {
    method: ctx.method,
    path: routeOf(ctx),
    status,
    durationMs: performance.now() - startedAt,
    ...(chosen(options.requestBody, ctx) && { data: ctx.request.body }),
  }
  const events = requestEvents({ request, decisions, metadata: responseFacts(ctx) }, isRecorded)
  if (isRecorded && isStream(ctx.body)) watchStream(ctx, options.audit, request, startedAt)
  await Promise.all(events.map(event => options.audit.recordDurably(event)))
}

/** A stream is sent after the middleware has ended; only one that breaks off needs a further row. */
function watchStream(ctx: KoaContextLike, audit: RequestRecorder, request: RequestFacts, startedAt: number): void {
  const recordAbort = (): void => {
    if (ctx.res.writableFinished) return
    const durationMs = performance.now() - startedAt
    audit.recordDurably(abortedEvent({ ...request, data: undefined, durationMs })).catch((failure: unknown) => {
      ctx.app.emit('error', new NotRecordedError(failure), ctx)
    })
  }
  // The event comes from the socket, outside of the request's context.
  ctx.res.once('close', AsyncResource.bind(recordAbort))
}

function chosen(option: boolean | ((ctx: KoaContextLike) => boolean) | undefined, ctx: KoaContextLike): boolean {
  return typeof option === 'function' ? option(ctx) : (option ?? false)
}

/** Koa removes all headers when it answers an error, except those the error carries. */
function keepHeader(error: unknown, correlationId: string): void {
  if (!(error instanceof Error) || !Object.isExtensible(error)) return
  const { headers } = error as { headers?: Readonly<Record<string, string>> }
  Object.assign(error, { headers: { ...headers, 'x-correlation-id': correlationId } })
}
