import {
  type Answer,
  answerMetadata,
  recordDeparture,
  type RequestAuditOptions,
  serveRequest,
  type ServedRequest,
} from '../collection/served-request.ts'
import type { HonoContextLike, HonoMiddlewareLike } from './hono-like.ts'
import { addressOf, parsedBody, routeOf } from './hono-request.ts'

/** How requests are recorded. */
export interface HonoAuditOptions<
  Context extends HonoContextLike = HonoContextLike,
> extends RequestAuditOptions<Context> {
  /** The client's address, for instance from a header that your proxy sets. @defaultValue the socket's, on Node */
  readonly ip?: ((c: Context) => string | undefined) | undefined
}

/**
 * Makes Hono middleware that records requests and access denials before the response is sent.
 *
 * It takes over a correlation id from `x-correlation-id` or `x-request-id` (or makes one), answers with it, and opens the
 * audit context in which everything further down is recorded. When the rest has run, the app's error handler included, it
 * writes a row for the request (`http.request`) and one `authz_fail` for every denial, and ends once they are durable.
 * Use it before all middleware whose work is to be recorded. It is made for Node, by `@hono/node-server`.
 *
 * When the rows cannot be stored, an answer of success becomes 503; one that is an error anyway is sent as it is. Why goes
 * to the channel `countersign.audit-log.unrecorded`. What the request changed by then stays changed.
 *
 * @param options - The log and what to record; by default every request that may change something and every denial.
 * @returns The middleware.
 * @example
 * ```ts
 * import { createAuditLog } from '@countersign/audit-log'
 * import { honoAudit } from '@countersign/audit-log/hono'
 * import { postgresAuditStore } from '@countersign/audit-log/objection'
 * import { Hono, type Context } from 'hono'
 * import Knex from 'knex'
 *
 * interface Env {
 *   Variables: { userId?: string }
 * }
 * const knex = Knex({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const audit = createAuditLog({ store: postgresAuditStore({ knex }) })
 * const app = new Hono<Env>()
 * app.use(
 *   honoAudit({
 *     audit,
 *     actor: (c: Context<Env>) => (c.var.userId === undefined ? undefined : { id: c.var.userId, type: 'user' }),
 *     skip: c => c.req.path === '/health',
 *   }),
 * )
 * ```
 */
export function honoAudit<Context extends HonoContextLike = HonoContextLike>(
  options: HonoAuditOptions<Context>,
): HonoMiddlewareLike {
  return async function auditRequest(c, next) {
    const context = c as Context
    const arrival = {
      method: c.req.method,
      ip: options.ip ? options.ip(context) : addressOf(c),
      header: (name: string) => c.req.header(name),
    }
    const keepsBody = options.requestBody !== undefined && options.requestBody !== false
    await serveRequest(options, context, arrival, served => serve(c, next, served, keepsBody))
  }
}

async function serve(
  c: HonoContextLike,
  next: () => Promise<void>,
  served: ServedRequest,
  keepsBody: boolean,
): Promise<void> {
  const { correlationId } = served
  const { signal } = c.req.raw
  const answer = async (status: number): Promise<Answer> => ({
    path: routeOf(c),
    status,
    data: keepsBody ? await parsedBody(c) : undefined,
    metadata: answerMetadata({
      requestLength: c.req.header('content-length'),
      responseLength: c.res?.headers.get('content-length') ?? undefined,
      isAborted: signal.aborted,
    }),
  })

  c.header('x-correlation-id', correlationId)
  try {
    await next()
  } catch (error) {
    // Hono hands errors to the app's handler before they come here; this one has no handler.
    await served.settle(await answer(500))
    throw error
  }
  const status = c.res?.status ?? 404
  const isSent = await served.settle(await answer(status))
  if (!isSent) {
    await c.res?.body?.cancel()
    // Hono would keep the headers of the answer that is replaced.
    c.res = undefined
    c.res = new Response('Service Unavailable', { status: 503, headers: { 'x-correlation-id': correlationId } })
    return
  }
  if (c.res?.headers.get('x-correlation-id') !== correlationId) c.header('x-correlation-id', correlationId)
  if (!signal.aborted) {
    signal.addEventListener('abort', () => recordDeparture(served, undefined), { once: true })
  }
}
