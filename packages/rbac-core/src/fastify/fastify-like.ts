import type { IncomingHttpHeaders } from 'node:http'

/** What this package uses of Fastify's request. */
export interface FastifyRequestLike {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly params: unknown
  readonly log: { error(facts: object, message: string): void }
}

/** The request of a route: with its parameters. */
export interface FastifyRouteRequestLike extends FastifyRequestLike {
  readonly params: Readonly<Record<string, string>>
}

/** What this package uses of Fastify's reply. */
export interface FastifyReplyLike {
  code(status: number): unknown
  headers(values: Readonly<Record<string, string>>): unknown
  send(body: string): unknown
}

/** A hook before the handler; any Fastify 5 instance or route takes it. */
export type FastifyHookLike = (
  request: FastifyRequestLike,
  reply: FastifyReplyLike,
  done: (error?: Error) => void,
) => void

/** What this package uses of a Fastify instance. */
export interface FastifyInstanceLike {
  addHook(name: 'onRequest', hook: FastifyHookLike): unknown
}

/** A plugin, with no import of Fastify. */
export type FastifyPluginLike = (instance: FastifyInstanceLike, options: object, done: () => void) => void
