import { STATUS_CODES } from 'node:http'
import { answerMetadata, isStream } from '../collection/served-request.ts'
import type { KoaContextLike } from './koa-like.ts'

/** Gives the template of the matched route (`/documents/:id`), else the path; never the query string. */
export function routeOf(ctx: KoaContextLike): string {
  return ctx._matchedRoute === undefined ? ctx.path : String(ctx._matchedRoute)
}

/** Gives the status with which Koa will answer `error`. */
export function statusOfError(error: unknown): number {
  if (!(error instanceof Error)) return 500
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  const claimed = status ?? statusCode
  return typeof claimed === 'number' && claimed in STATUS_CODES ? claimed : 500
}

/** Tells whether the body is sent piece by piece after the middleware has ended. */
export function isStreamed(ctx: KoaContextLike): boolean {
  return isStream(ctx.body)
}

/** Gives the sizes in bytes as far as they are known, and whether the client went away before its answer. */
export function responseFacts(ctx: KoaContextLike): Readonly<Record<string, unknown>> {
  return answerMetadata({
    requestLength: ctx.get('content-length'),
    responseLength: ctx.response.get('content-length'),
    isStreamed: isStreamed(ctx),
    isAborted: ctx.res.destroyed,
  })
}
