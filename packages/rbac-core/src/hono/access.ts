import { runWithAccess } from '../context.ts'
import { accessOfRequest, type HttpAccessOptions } from '../http-access.ts'
import { reportFailure } from '../http-failure.ts'
import { problemResponse } from './problem-response.ts'
import type { HonoContextLike, HonoMiddlewareLike } from './hono-like.ts'

/** How a request names its subject, and who resolves it. */
export type HonoAccessOptions = HttpAccessOptions<HonoContextLike>

/**
 * Makes Hono middleware that resolves the access of each request and runs everything further down with it.
 *
 * It needs a runtime with `node:async_hooks`. When the rights cannot be read the answer is 503, and nothing further down
 * runs.
 *
 * @param options - The authorizer, and how a request names its subject.
 * @returns The middleware; handlers get the access by `currentAccess()`.
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
 * import { honoAccess } from '@countersign/rbac-core/hono'
 * import { Hono } from 'hono'
 *
 * const permissions = definePermissions({ document: ['read'] })
 * const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
 * const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
 * const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
 * declare function userOf(token: string | undefined): Promise<string | undefined>
 * export const app = new Hono()
 * app.use(honoAccess({ authorizer, subjectId: c => userOf(c.req.header('authorization')) }))
 * ```
 */
export function honoAccess(options: HonoAccessOptions): HonoMiddlewareLike {
  return async function honoAccess(c, next) {
    const resolved = await accessOfRequest(options, c, reportFailure)
    if (resolved.problem) return problemResponse(resolved.problem)
    await runWithAccess(resolved.access, next)
    return undefined
  }
}
