import type { Access } from '../access.ts'
import { runWithAccess } from '../context.ts'
import { GrantStoreUnavailableError } from '../errors.ts'
import type { KoaContextLike, KoaMiddlewareLike } from './koa-like.ts'
import { answerProblem } from './problem.ts'

/** What the middleware needs of an authorizer. */
export interface AccessSource {
  accessFor(subjectId: string, options?: { activeRoles?: readonly string[] | undefined }): Promise<Access>
}

type MaybePromise<Value> = Value | Promise<Value>

/** How a request names its subject, and who resolves it. */
export interface KoaAccessOptions {
  readonly authorizer: AccessSource
  /** Names the subject of a request, or nothing for a request without one. An error ends the request. */
  subjectId(ctx: KoaContextLike): MaybePromise<string | null | undefined>
  /** Names the roles in use, for dynamic separation of duty; without it all of the subject's roles are. */
  activeRoles?(ctx: KoaContextLike): MaybePromise<readonly string[] | undefined>
}

/**
 * Makes Koa middleware that resolves the access of each request and runs everything further down with it.
 *
 * It sets `ctx.state.access`, undefined for a request without a subject. When the rights cannot be read the answer is
 * 503, and nothing further down runs.
 *
 * @param options - The authorizer, and how a request names its subject.
 * @returns The middleware.
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
 * import { koaAccess } from '@countersign/rbac-core/koa'
 *
 * const permissions = definePermissions({ document: ['read'] })
 * const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
 * const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
 * const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
 * export const access = koaAccess({ authorizer, subjectId: ctx => ctx.state.session?.userId })
 * ```
 */
export function koaAccess(options: KoaAccessOptions): KoaMiddlewareLike {
  const { authorizer } = options
  return async function koaAccess(ctx, next) {
    const id = (await options.subjectId(ctx)) ?? undefined
    let access: Access | undefined
    if (id !== undefined) {
      try {
        access = await authorizer.accessFor(id, { activeRoles: await options.activeRoles?.(ctx) })
      } catch (error) {
        if (GrantStoreUnavailableError.isInstance(error)) ctx.app.emit('error', error, ctx)
        return answerProblem(ctx, error)
      }
    }
    const state = ctx.state as { access?: Access | undefined }
    state.access = access
    return runWithAccess(access, next)
  }
}
