import type { Access } from './access.ts'
import { GrantStoreUnavailableError } from './errors.ts'
import { problemOf, type HttpProblem } from './http-problem.ts'

/** What a door needs of an authorizer. */
export interface AccessSource {
  /** Resolves the access of a subject, as an authorizer does. */
  accessFor(subjectId: string, options?: { activeRoles?: readonly string[] | undefined }): Promise<Access>
}

export type MaybePromise<Value> = Value | Promise<Value>

/** How a request names its subject, and who resolves it. */
export interface HttpAccessOptions<Request> {
  readonly authorizer: AccessSource
  /** Names the subject of a request, or nothing for a request without one. An error ends the request. */
  subjectId(request: Request): MaybePromise<string | null | undefined>
  /** Names the roles in use, for dynamic separation of duty; without it all of the subject's roles are. */
  activeRoles?(request: Request): MaybePromise<readonly string[] | undefined>
}

/** The access of a request, undefined without a subject; or what to answer where its rights cannot be read. */
export type RequestAccess =
  { readonly access: Access | undefined; readonly problem?: undefined } | { readonly problem: HttpProblem }

/** Resolves the access of a request; `report` is told when the store is down. Rejects with a fault of the program. */
export async function accessOfRequest<Request>(
  options: HttpAccessOptions<Request>,
  request: Request,
  report: (error: unknown) => void,
): Promise<RequestAccess> {
  const id = (await options.subjectId(request)) ?? undefined
  if (id === undefined) return { access: undefined }
  try {
    return { access: await options.authorizer.accessFor(id, { activeRoles: await options.activeRoles?.(request) }) }
  } catch (error) {
    if (GrantStoreUnavailableError.isInstance(error)) report(error)
    return { problem: problemOf(error) }
  }
}
