import type { IncomingMessage, ServerResponse } from 'node:http'

/** The part of Express's request that the middleware reads. */
export interface ExpressRequestLike extends IncomingMessage {
  readonly method: string
  readonly originalUrl: string
  readonly path: string
  /** Where the router that matched is mounted. */
  readonly baseUrl: string
  readonly ip?: string | undefined
  readonly body?: unknown
}

/** Express's middleware, with no import of Express. */
export type ExpressMiddlewareLike = (
  request: ExpressRequestLike,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void
