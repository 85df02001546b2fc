import type { IncomingHttpHeaders } from 'node:http'

/** What this package uses of a request, whichever platform Nest runs on. */
export interface NestRequestLike {
  readonly method?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** The request of a handler: with its route's parameters. */
export interface NestRouteRequestLike extends NestRequestLike {
  readonly params: Readonly<Record<string, string>>
}

/** What this package uses of Nest's execution context. */
export interface NestContextLike {
  getType(): string
  switchToHttp(): { getRequest(): unknown; getResponse(): unknown }
}

/** A guard as Nest knows it, for `useGlobalGuards` and `UseGuards`. */
export interface NestCanActivateLike {
  canActivate(context: NestContextLike): Promise<boolean>
}
