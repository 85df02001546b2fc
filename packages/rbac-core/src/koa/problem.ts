import {
  GrantStoreUnavailableError,
  PermissionDeniedError,
  SeparationOfDutyError,
  StaleAccessError,
  UnauthenticatedError,
  type RbacError,
} from '../errors.ts'
import type { KoaContextLike } from './koa-like.ts'

interface Problem {
  readonly status: 401 | 403 | 503
  readonly title: string
}

/** Tells how an error of this package is answered; undefined for one that is a fault of the program. */
function problemOf(error: unknown): (Problem & { readonly code: string }) | undefined {
  const answers: [{ isInstance(value: unknown): boolean }, Problem][] = [
    [UnauthenticatedError, { status: 401, title: 'Sign in to continue' }],
    [PermissionDeniedError, { status: 403, title: 'You may not do this' }],
    [StaleAccessError, { status: 403, title: 'Your rights must be read again, try once more' }],
    [SeparationOfDutyError, { status: 403, title: 'These roles may not be used together' }],
    [GrantStoreUnavailableError, { status: 503, title: 'Your rights cannot be read at the moment' }],
  ]
  const found = answers.find(([type]) => type.isInstance(error))
  return found && { ...found[1], code: (error as RbacError).code }
}

/** Answers with problem details (RFC 9457), which tell the code and nothing of the inside. Throws what is no denial. */
export function answerProblem(ctx: KoaContextLike, error: unknown): void {
  const problem = problemOf(error)
  if (problem === undefined) throw error
  const { status, title, code } = problem
  ctx.status = status
  // RFC 9110 asks for a challenge with every 401; browsers show no dialog for this one.
  if (status === 401) ctx.set('WWW-Authenticate', 'Bearer')
  if (status === 503) ctx.set('Retry-After', '1')
  ctx.body = JSON.stringify({ type: 'about:blank', title, status, code })
  ctx.type = 'application/problem+json'
}
