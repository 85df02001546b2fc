import {
  type Answer,
  answerMetadata,
  clientClosedRequest,
  isStream,
  recordDeparture,
  type RequestAuditOptions,
  serveRequest,
  type ServedRequest,
} from '../collection/served-request.ts'
import type { FastifyPluginLike, FastifyReplyLike, FastifyRequestLike } from './fastify-like.ts'

/** How requests are recorded. */
export type FastifyAuditOptions<Request extends FastifyRequestLike = FastifyRequestLike> = RequestAuditOptions<Request>

interface Watched {
  readonly served: ServedRequest
  isAnswered: boolean
}

/**
 * Makes a Fastify plugin that records requests and access denials before the response is sent.
 *
 * It takes over a correlation id from `x-correlation-id` or `x-request-id` (or makes one), answers with it, and opens the
 * audit context in which everything further down is recorded. In `onSend`, after the handler and after any error handler,
 * it writes a row for the request (`http.request`) and one `authz_fail` for every denial, and goes on once they are
 * durable. It works for all routes of the instance it is registered with; register it before all plugins whose work is
 * to be recorded.
 *
 * When the rows cannot be stored, an answer of success becomes 503; one that is an error anyway is sent as it is. Why goes
 * to the channel `countersign.audit-log.unrecorded`. What the request changed by then stays changed. A reply that is
 * hijacked, or written to `reply.raw`, answers before its row is stored.
 *
 * @param options - The log and what to record; by default every request that may change something and every denial.
 * @returns The plugin.
 * @example
 * ```ts
 * import { createAuditLog } from '@countersign/audit-log'
 * import { fastifyAudit } from '@countersign/audit-log/fastify'
 * import { postgresAuditStore } from '@countersign/audit-log/objection'
 * import Fastify, { type FastifyRequest } from 'fastify'
 * import Knex from 'knex'
 *
 * declare function userOf(request: FastifyRequest): string | undefined
 * const knex = Knex({ client: 'pg', connection: 'postgres://127.0.0.1/app' })
 * const audit = createAuditLog({ store: postgresAuditStore({ knex }) })
 * const app = Fastify()
 * await app.register(
 *   fastifyAudit({
 *     audit,
 *     actor: (request: FastifyRequest) => {
 *       const id = userOf(request)
 *       return id === undefined ? undefined : { id, type: 'user' }
 *     },
 *     skip: request => request.url === '/health',
 *   }),
 * )
 * ```
 */
export function fastifyAudit<Request extends FastifyRequestLike = FastifyRequestLike>(
  options: FastifyAuditOptions<Request>,
): FastifyPluginLike {
  const requests = new WeakMap<FastifyRequestLike, Watched>()

  const plugin: FastifyPluginLike = (instance, _, done) => {
    instance.addHook('onRequest', (request, reply, next) => {
      const arrival = { method: request.method, ip: request.ip, header: (name: string) => headerOf(request, name) }
      serveRequest(options, request as Request, arrival, served => {
        const watched = { served, isAnswered: false }
        requests.set(request, watched)
        reply.header('x-correlation-id', served.correlationId)
        watchClose(request, reply, watched)
        next()
      })
    })
    instance.addHook('onSend', (request, reply, payload, next) => {
      const watched = requests.get(request)
      if (watched === undefined) {
        next(null, payload)
        return
      }
      watched.isAnswered = true
      watched.served.settle(answerOf(request, reply, reply.statusCode, payload)).then(isAllowed => {
        next(null, isAllowed ? payload : refuse(reply, watched.served.correlationId, payload))
      }, next)
    })
    done()
  }
  return Object.assign(plugin, {
    // Else it would work for the routes of a scope of its own only, which has none.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: '@countersign/audit-log/fastify',
    [Symbol.for('plugin-meta')]: { name: '@countersign/audit-log/fastify', fastify: '5.x' },
  })
}

function watchClose(request: FastifyRequestLike, reply: FastifyReplyLike, watched: Watched): void {
  reply.raw.once('close', () => {
    if (reply.raw.writableFinished) return
    recordDeparture(
      watched.served,
      watched.isAnswered ? undefined : answerOf(request, reply, clientClosedRequest, undefined),
    )
  })
}

function answerOf(request: FastifyRequestLike, reply: FastifyReplyLike, status: number, payload: unknown): Answer {
  return {
    path: request.routeOptions.url ?? request.url.replace(/\?.*/s, ''),
    status,
    data: request.body,
    metadata: answerMetadata({
      requestLength: headerOf(request, 'content-length'),
      responseLength: lengthOf(payload) ?? reply.getHeader('content-length')?.toString(),
      isStreamed: isStream(payload),
      isAborted: reply.raw.destroyed,
    }),
  }
}

function refuse(reply: FastifyReplyLike, correlationId: string, payload: unknown): string {
  if (isDestroyable(payload)) payload.destroy()
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
  reply.code(503)
  reply.header('x-correlation-id', correlationId)
  reply.header('content-type', 'text/plain; charset=utf-8')
  return 'Service Unavailable'
}

function isDestroyable(payload: unknown): payload is { destroy(): void } {
  return isStream(payload) && typeof (payload as { destroy?: unknown }).destroy === 'function'
}

function lengthOf(payload: unknown): string | undefined {
  if (typeof payload !== 'string' && !Buffer.isBuffer(payload)) return undefined
  return String(Buffer.byteLength(payload))
}

function headerOf({ headers }: FastifyRequestLike, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'object' ? value[0] : value
}
