/** What this package uses of Hono's context. */
export interface HonoContextLike {
  readonly req: {
    readonly method: string
    readonly path: string
    header(name: string): string | undefined
    param(name: string): string | undefined
  }
}

/** A middleware that any Hono application takes. */
export type HonoMiddlewareLike = (c: HonoContextLike, next: () => Promise<void>) => Promise<Response | undefined>
