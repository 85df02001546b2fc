import {
  GrantStoreUnavailableError,
  PermissionDeniedError,
  SeparationOfDutyError,
  StaleAccessError,
  UnauthenticatedError,
  type RbacError,
} from './errors.ts'

/** An answer with problem details (RFC 9457), which tell the code and nothing of the inside. */
export interface HttpProblem {
  readonly status: 401 | 403 | 503
  readonly headers: Readonly<Record<string, string>>
  readonly details: { readonly type: string; readonly title: string; readonly status: number; readonly code: string }
}

const answers: readonly [{ isInstance(value: unknown): boolean }, HttpProblem['status'], string][] = [
  [UnauthenticatedError, 401, 'Sign in to continue'],
  [PermissionDeniedError, 403, 'You may not do this'],
  [StaleAccessError, 403, 'Your rights must be read again, try once more'],
  [SeparationOfDutyError, 403, 'These roles may not be used together'],
  [GrantStoreUnavailableError, 503, 'Your rights cannot be read at the moment'],
]

/** Tells how a denial is answered. Throws what is none, a fault of the program. */
export function problemOf(error: unknown): HttpProblem {
  const found = answers.find(([type]) => type.isInstance(error))
  // A static rule is broken by giving a role: that is for the handler which gives it.
  const isStatic = SeparationOfDutyError.isInstance(error) && error.kind === 'static'
  if (found === undefined || isStatic) throw error
  const [, status, title] = found
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      // RFC 9110 asks for a challenge with every 401; browsers show no dialog for this one.
      ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
      ...(status === 503 && { 'Retry-After': '1' }),
    },
    details: { type: 'about:blank', title, status, code: (error as RbacError).code },
  }
}
