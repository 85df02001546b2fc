import type { Middleware } from 'koa'
import type { Logger } from 'pino'

/** An answer other than the expected one, as RFC 9457 `application/problem+json`; all of it is meant for the client. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly code: string
  readonly errors: readonly FieldError[] | undefined

  constructor(status: number, code: string, title: string, errors?: readonly FieldError[]) {
    super(title)
    this.status = status
    this.code = code
    this.errors = errors
  }
}

export interface FieldError {
  readonly field: string
  readonly message: string
}

/** Turns what the rest throws into a problem; only a `Problem` says more than its status. */
export function problems(log: Logger): Middleware {
  return async function problems(ctx, next) {
    try {
      await next()
      if (isEmpty(ctx) && ctx.status === 404) throw new Problem(404, 'NOT_FOUND', 'There is nothing here')
      if (isEmpty(ctx) && (ctx.status === 405 || ctx.status === 501)) {
        throw new Problem(ctx.status, 'METHOD_NOT_ALLOWED', 'Not by this method')
      }
    } catch (error) {
      const problem = error instanceof Problem ? error : concealed(error)
      if (problem.status >= 500) log.error({ err: error, method: ctx.method, path: ctx.path }, 'request failed')
      ctx.status = problem.status
      ctx.type = 'application/problem+json'
      ctx.body = JSON.stringify({
        type: 'about:blank',
        title: problem.message,
        status: problem.status,
        code: problem.code,
        ...(problem.errors && { errors: problem.errors }),
      })
    }
  }
}

function isEmpty({ body }: { readonly body: unknown }): boolean {
  return body === undefined || body === null
}

/** What a client may read of an error that was not meant for it. */
function concealed(error: unknown): Problem {
  const status = error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : 500
  if (status === 400) return new Problem(400, 'BAD_REQUEST', 'The request could not be read')
  if (status === 413) return new Problem(413, 'BODY_TOO_LARGE', 'The body is too large')
  if (status === 415) return new Problem(415, 'UNSUPPORTED_MEDIA_TYPE', 'Send application/json')
  if (status === 503) return new Problem(503, 'UNAVAILABLE', 'A part of the service does not answer; try again')
  return new Problem(500, 'INTERNAL', 'The request failed')
}
