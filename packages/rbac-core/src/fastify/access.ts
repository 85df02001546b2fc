import { runWithAccess } from '../context.ts'
import { accessOfRequest, type HttpAccessOptions } from '../http-access.ts'
import { answerProblem } from './answer-problem.ts'
import type { FastifyPluginLike, FastifyRequestLike } from './fastify-like.ts'

/** How a request names its subject, and who resolves it. */
export type FastifyAccessOptions = HttpAccessOptions<FastifyRequestLike>

/**
 * Makes a Fastify plugin that resolves the access of each request and runs everything further down with it.
 *
 * It works for all routes of the instance it is registered with and for plugins registered after it. A route that it does
 * not reach has no access, and guards answer 401 there. The subject is asked for in `onRequest`, so register it after the
 * plugin that reads the session. When the rights cannot be read the answer is 503, and the handler does not run.
 *
 * @param options - The authorizer, and how a request names its subject.
 * @returns The plugin; handlers get the access by `currentAccess()`.
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
 * import { fastifyAccess } from '@countersign/rbac-core/fastify'
 * import Fastify from 'fastify'
 *
 * const permissions = definePermissions({ document: ['read'] })
 * const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
 * const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
 * const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
 * declare function userOf(token: string | undefined): Promise<string | undefined>
 * export const app = Fastify()
 * await app.register(fastifyAccess({ authorizer, subjectId: request => userOf(request.headers.authorization) }))
 * ```
 */
export function fastifyAccess(options: FastifyAccessOptions): FastifyPluginLike {
  const plugin: FastifyPluginLike = (instance, _, done) => {
    instance.addHook('onRequest', (request, reply, next) => {
      accessOfRequest(options, request, error => {
        request.log.error({ err: error }, 'The rights of a request could not be read')
      }).then(resolved => {
        if (resolved.problem) answerProblem(reply, resolved.problem)
        else runWithAccess(resolved.access, next)
      }, next)
    })
    done()
  }
  return Object.assign(plugin, {
    // Else it would work for the routes of a scope of its own only, which has none.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: '@countersign/rbac-core/fastify',
    [Symbol.for('plugin-meta')]: { name: '@countersign/rbac-core/fastify', fastify: '5.x' },
  })
}
