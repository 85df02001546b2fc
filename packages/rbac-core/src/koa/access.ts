import { runWithAccess } from '../context.ts'
import { accessOfRequest, type HttpAccessOptions } from '../http-access.ts'
import type { Access } from '../access.ts'
import { problemOf } from '../http-problem.ts'
import { answerProblem } from './answer-problem.ts'
import type { KoaContextLike, KoaMiddlewareLike } from './koa-like.ts'

/** How a request names its subject, and who resolves it. */
export type KoaAccessOptions = HttpAccessOptions<KoaContextLike>

/**
 * Makes Koa middleware that resolves the access of each request and runs everything further down with it.
 *
 * It sets `ctx.state.access`, undefined for a request without a subject. When the rights cannot be read the answer is
 * 503, and nothing further down runs. A denial that is thrown further down, by a guarded method or `assert`, is answered
 * as a guard's middleware answers it.
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
  return async function koaAccess(ctx, next) {
    const resolved = await accessOfRequest(options, ctx, error => ctx.app.emit('error', error, ctx))
    if (resolved.problem) return answerProblem(ctx, resolved.problem)
    const state = ctx.state as { access?: Access | undefined }
    state.access = resolved.access
    try {
      return await runWithAccess(resolved.access, next)
    } catch (error) {
      if (ctx.headerSent) throw error
      return answerProblem(ctx, problemOf(error))
    }
  }
}
