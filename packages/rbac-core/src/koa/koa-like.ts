/** What this package uses of Koa's context. */
export interface KoaContextLike {
  status: number
  type: string
  body: unknown
  readonly headerSent: boolean
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- Koa's own type for what middleware share.
  state: any
  readonly app: { emit(event: string, ...args: unknown[]): unknown }
  get(field: string): string
  set(field: string, value: string): void
}

/** The context of a route: with its parameters. */
export interface KoaRouteContextLike extends KoaContextLike {
  readonly params: Readonly<Record<string, string>>
}

/** A middleware that any Koa application takes. */
export type KoaMiddlewareLike = (ctx: KoaContextLike, next: () => Promise<unknown>) => Promise<unknown>
