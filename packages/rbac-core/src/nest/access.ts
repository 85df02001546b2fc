import type { HttpAccessOptions } from '../http-access.ts'
import { connectAccess, type ConnectMiddleware } from '../http-connect.ts'
import type { NestRequestLike } from './nest-like.ts'

/** How a request names its subject, and who resolves it. */
export type NestAccessOptions = HttpAccessOptions<NestRequestLike>

/**
 * Makes middleware for Nest that resolves the access of each request and runs everything further down with it.
 *
 * Give it to `app.use`, or to `consumer.apply` of a module; guards run after all middleware. When the rights cannot be
 * read the answer is 503, and nothing further down runs.
 *
 * @param options - The authorizer, and how a request names its subject.
 * @returns The middleware; controllers and services get the access by `currentAccess()`.
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
 * import { nestAccess } from '@countersign/rbac-core/nest'
 * import type { INestApplication } from '@nestjs/common'
 *
 * const permissions = definePermissions({ document: ['read'] })
 * const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
 * const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
 * const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
 * declare const app: INestApplication
 * declare function userOf(token: string | undefined): Promise<string | undefined>
 * app.use(nestAccess({ authorizer, subjectId: request => userOf(request.headers.authorization) }))
 * ```
 */
export function nestAccess(options: NestAccessOptions): ConnectMiddleware<NestRequestLike> {
  return connectAccess(options)
}
