import { AsyncResource } from 'node:async_hooks'
import { type RequestAuditOptions, serveRequest, type ServedRequest } from '../collection/served-request.ts'
import { NotRecordedError } from '../errors.ts'
import type { KoaContextLike, KoaMiddlewareLike } from './koa-like.ts'
import { isStreamed, responseFacts, routeOf, statusOfError } from './koa-response.ts'

/** How requests are recorded. */
export interface KoaAuditOptions extends RequestAuditOptions<KoaContextLike> {
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
  return async function auditRequest(ctx, next) {
    const arrival = { method: ctx.method, ip: ctx.ip, header: (name: string) => ctx.get(name) }
    await serveRequest(options, ctx, arrival, served => serve(ctx, next, options, served))
  }
}

async function serve(
  ctx: KoaContextLike,
  next: () => Promise<unknown>,
  { errorStatus = statusOfError }: KoaAuditOptions,
  served: ServedRequest,
): Promise<void> {
  const { correlationId } = served
  ctx.set('x-correlation-id', correlationId)
  const record = (status: number): Promise<void> => {
    const recorded = served.record({
      path: routeOf(ctx),
      status,
      data: ctx.request.body,
      metadata: responseFacts(ctx),
    })
    // A stream is sent after the middleware has ended; only one that breaks off needs a further row.
    if (isStreamed(ctx)) ctx.res.once('close', AsyncResource.bind(recordAbort))
    return recorded
  }
  const recordAbort = (): void => {
    if (ctx.res.writableFinished) return
    served.recordAbort().catch((failure: unknown) => ctx.app.emit('error', new NotRecordedError(failure), ctx))
  }
  try {
    await next()
  } catch (error) {
    keepHeader(error, correlationId)
    try {
      await record(errorStatus(error))
    } catch (failure) {
      // The client is told of its own error; the missing row is the operator's matter.
      ctx.app.emit('error', new NotRecordedError(failure), ctx)
    }
    throw error
  }
  try {
    await record(ctx.status)
  } catch (failure) {
    const error = new NotRecordedError(failure)
    keepHeader(error, correlationId)
    throw error
  }
}

/** Koa removes all headers when it answers an error, except those the error carries. */
function keepHeader(error: unknown, correlationId: string): void {
  if (!(error instanceof Error) || !Object.isExtensible(error)) return
  const { headers } = error as { headers?: Readonly<Record<string, string>> }
  Object.assign(error, { headers: { ...headers, 'x-correlation-id': correlationId } })
}
