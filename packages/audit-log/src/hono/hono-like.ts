/** The part of Hono's context that the middleware uses. */
export interface HonoContextLike {
  readonly req: {
    readonly method: string
    readonly path: string
    readonly raw: Request
    readonly routeIndex: number
    readonly matchedRoutes: readonly { readonly method: string; readonly path: string }[]
    readonly bodyCache: object
    header(name: string): string | undefined
    json(): Promise<unknown>
    parseBody(): Promise<unknown>
  }
  readonly env: unknown
  res: Response | undefined
  header(name: string, value: string): void
}

/** Hono's middleware, with no import of Hono. */
export type HonoMiddlewareLike = (c: HonoContextLike, next: () => Promise<void>) => Promise<void>
