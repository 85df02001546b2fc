import type { IncomingHttpHeaders } from 'node:http'

/** The part of Fastify's request that the plugin reads. */
export interface FastifyRequestLike {
  readonly method: string
  readonly url: string
  readonly ip: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
  readonly routeOptions: { readonly url?: string | undefined }
}

/** The part of Fastify's reply that the plugin uses. */
export interface FastifyReplyLike {
  readonly statusCode: number
  readonly raw: {
    readonly destroyed: boolean
    readonly writableFinished: boolean
    once(event: 'close', listener: () => void): unknown
  }
  code(status: number): unknown
  header(name: string, value: string): unknown
  getHeader(name: string): number | string | string[] | undefined
  getHeaders(): object
  removeHeader(name: string): unknown
}

/** A hook before the handler. */
export type FastifyHookLike = (
  request: FastifyRequestLike,
  reply: FastifyReplyLike,
  done: (error?: Error) => void,
) => void

/** A hook that may change the payload before it is sent. */
export type FastifySendHookLike = (
  request: FastifyRequestLike,
  reply: FastifyReplyLike,
  payload: unknown,
  done: (error?: Error | null, payload?: unknown) => void,
) => void

/** What this package uses of a Fastify instance. */
export interface FastifyInstanceLike {
  addHook(name: 'onRequest', hook: FastifyHookLike): unknown
  addHook(name: 'onSend', hook: FastifySendHookLike): unknown
}

/** A plugin, with no import of Fastify. */
export type FastifyPluginLike = (instance: FastifyInstanceLike, options: object, done: () => void) => void
