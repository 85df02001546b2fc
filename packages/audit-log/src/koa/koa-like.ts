/** The part of Koa's context that the middleware reads; any Koa 2 or 3 context fits. */
export interface KoaContextLike {
  readonly method: string
  readonly path: string
  readonly ip: string
  readonly status: number
  readonly body: unknown
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- Koa itself leaves the state's type open.
  readonly state: any
  get(header: string): string
  set(header: string, value: string): void
  readonly request: { readonly body?: unknown }
  readonly response: { get(header: string): string }
  readonly res: {
    readonly destroyed: boolean
    readonly writableFinished: boolean
    once(event: 'close', listener: () => void): unknown
  }
  readonly app: { emit(event: 'error', error: unknown, context: unknown): boolean }
  /** The template of the route, set by @koa/router. */
  readonly _matchedRoute?: string | RegExp | undefined
}

/** Koa's middleware, with no import of Koa. */
export type KoaMiddlewareLike = (ctx: KoaContextLike, next: () => Promise<unknown>) => Promise<void>
