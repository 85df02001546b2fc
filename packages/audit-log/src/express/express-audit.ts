import type { ServerResponse } from 'node:http'
import {
  type Answer,
  answerMetadata,
  clientClosedRequest,
  recordDeparture,
  type RequestAuditOptions,
  serveRequest,
  type ServedRequest,
} from '../collection/served-request.ts'
import type { ExpressMiddlewareLike, ExpressRequestLike } from './express-like.ts'
import { holdResponse } from './held-response.ts'

/** How requests are recorded. */
export type ExpressAuditOptions<Request extends ExpressRequestLike = ExpressRequestLike> = RequestAuditOptions<Request>

/**
 * Makes Express middleware that records requests and access denials before the response is sent.
 *
 * It takes over a correlation id from `x-correlation-id` or `x-request-id` (or makes one), answers with it, and opens the
 * audit context in which everything further down is recorded. Express has no hook before an answer, so the answer itself
 * is held back before its first byte, until the row of the request (`http.request`) and one `authz_fail` for every denial
 * are durable. Use it before all middleware whose work is to be recorded, and before those that compress.
 *
 * When the rows cannot be stored, an answer of success becomes 503, or is cut off where the handler had fixed its head
 * with `writeHead`; an answer that is an error anyway is sent as it is. Why goes to the channel
 * `countersign.audit-log.unrecorded`. What the request changed by then stays changed. What is written to `res.socket`
 * itself is not held.
 *
 * @param options - The log and what to record; by default every request that may change something and every denial.
 * @returns The middleware.
 * @example
 * ```ts
 * import { createAuditLog } from '@countersign/audit-log'
 * import { expressAudit } from '@countersign/audit-log/express'
 * import { postgresAuditStore } from '@countersign/audit-log/objection'
 * import express, { type Request } from 'express'
 * import Knex from 'knex'
 *
 * declare function userOf(req: Request): string | undefined
 * const knex = Knex({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const audit = createAuditLog({ store: postgresAuditStore({ knex }) })
 * const app = express()
 * app.use(
 *   expressAudit({
 *     audit,
 *     actor: (req: Request) => {
 *       const id = userOf(req)
 *       return id === undefined ? undefined : { id, type: 'user' }
 *     },
 *     skip: req => req.path === '/health',
 *   }),
 * )
 * ```
 */
export function expressAudit<Request extends ExpressRequestLike = ExpressRequestLike>(
  options: ExpressAuditOptions<Request>,
): ExpressMiddlewareLike {
  return function auditRequest(request, response, next) {
    const arrival = {
      method: request.method,
      ip: request.ip,
      header: (name: string) => headerOf(request.headers[name]),
    }
    serveRequest(options, request as Request, arrival, served => {
      watch(request, response, served)
      next()
    })
  }
}

function watch(request: ExpressRequestLike, response: ServerResponse, served: ServedRequest): void {
  const { correlationId } = served
  const route = watchRoute(request)
  response.setHeader('x-correlation-id', correlationId)
  let isAnswered = false

  const answer = (status: number, isStreamed: boolean): Answer => ({
    path: route(),
    status,
    data: request.body,
    metadata: answerMetadata({
      requestLength: request.headers['content-length'],
      responseLength: headerOf(response.getHeader('content-length')),
      isStreamed,
      isAborted: response.destroyed,
    }),
  })

  holdResponse(response, {
    mayBeSent: isStreamed => {
      isAnswered = true
      return served.settle(answer(response.statusCode, isStreamed))
    },
    refusal: {
      status: 503,
      headers: { 'x-correlation-id': correlationId, 'content-type': 'text/plain; charset=utf-8' },
      body: 'Service Unavailable',
    },
  })
  response.once('close', () => {
    if (response.writableFinished) return
    recordDeparture(served, isAnswered ? undefined : answer(clientClosedRequest, false))
  })
}

/** Tells the template of the matched route with where its router is mounted, else the path; never the query string. */
function watchRoute(request: ExpressRequestLike): () => string {
  const path = request.originalUrl.replace(/\?.*/s, '')
  let route: unknown
  let mountedAt = ''
  // Express forgets where a router is mounted when it leaves it, as it does before an error is answered.
  Object.defineProperty(request, 'route', {
    configurable: true,
    enumerable: true,
    get: () => route,
    set: (matched: unknown) => {
      route = matched
      mountedAt = request.baseUrl
    },
  })
  return () => {
    const template = (route as { readonly path?: string | RegExp | readonly (string | RegExp)[] } | undefined)?.path
    if (template === undefined) return path
    const text = String(template)
    return text === '/' && mountedAt !== '' ? mountedAt : mountedAt + text
  }
}

function headerOf(value: string | number | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value[0] : value?.toString()
}
