import type { ConnectMiddleware } from '../http-connect.ts'

/** What this package uses of Express's request. */
export interface ExpressRequestLike {
  readonly method: string
  get(header: string): string | undefined
}

/** The request of a route: with its parameters. */
export interface ExpressRouteRequestLike extends ExpressRequestLike {
  readonly params: Readonly<Record<string, string | string[]>>
}

/** A middleware that any Express application takes. */
export type ExpressMiddlewareLike = ConnectMiddleware<ExpressRequestLike>
