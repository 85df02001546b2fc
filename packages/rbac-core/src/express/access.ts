import type { HttpAccessOptions } from '../http-access.ts'
import { connectAccess } from '../http-connect.ts'
import type { ExpressMiddlewareLike, ExpressRequestLike } from './express-like.ts'

/** How a request names its subject, and who resolves it. */
export type ExpressAccessOptions = HttpAccessOptions<ExpressRequestLike>

/**
 * Makes Express middleware that resolves the access of each request and runs everything further down with it.
 *
 * When the rights cannot be read the answer is 503, and nothing further down runs. A middleware that goes on from a
 * callback which does not keep Node's async context, such as some upload parsers, belongs above it; below, it denies.
 *
 * @param options - The authorizer, and how a request names its subject.
 * @returns The middleware; handlers get the access by `currentAccess()`.
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
 * import { expressAccess } from '@countersign/rbac-core/express'
 *
 * const permissions = definePermissions({ document: ['read'] })
 * const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
 * const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
 * const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
 * declare function userOf(token: string | undefined): Promise<string | undefined>
 * export const access = expressAccess({ authorizer, subjectId: req => userOf(req.get('authorization')) })
 * ```
 */
export function expressAccess(options: ExpressAccessOptions): ExpressMiddlewareLike {
  return connectAccess(options)
}
