import type { Authorizer } from '@countersign/rbac-core'
import { definePermissions, definePolicy, type PermissionName } from '@countersign/rbac-core'
import type { GuardedRoute, RouteCheckOptions, RouteProblem } from '@countersign/rbac-core/koa'
import { setTimeout } from 'node:timers/promises'

export const permissions = definePermissions({ document: ['read', 'publish'], user: ['manage'] })
export const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    publisher: { inherits: ['viewer'], permissions: ['document:publish'] },
  },
})

/** What the application of each framework is made of. */
export interface AppParts {
  readonly authorizer: Authorizer<PermissionName<typeof permissions>>
  /** Called by each handler that runs. */
  readonly reach: (route: string) => void
  /** Called with what the framework's operator is told. */
  readonly report: (text: string) => void
}

/**
 * An application with the routes that the suite calls. Its subject is the `x-user` header, and `x-user: !` makes the
 * function that names the subject fail.
 *
 * GET /health is open, GET /documents/:id asks for document:read, POST /documents reads a JSON body and asks for
 * document:publish, GET /teams/:team for document:publish in that team, POST /review for document:read without the role
 * publisher, GET /role for the role viewer; the scopes of GET /broken and GET /broken/later fail, at once and later.
 */
export interface ServedApp {
  readonly url: string
  readonly close: () => Promise<void>
  readonly routeInventory: () => GuardedRoute[]
  readonly routeProblems: (options: RouteCheckOptions) => RouteProblem[]
}

export type Serve = (parts: AppParts) => Promise<ServedApp>

export function subjectOf(header: string | string[] | undefined): string | undefined {
  if (header === '!') throw new Error('the secret of the session')
  return Array.isArray(header) ? header[0] : header
}

export function brokenScope(): string {
  throw new Error('the secret of the resolver')
}

export async function laterBrokenScope(): Promise<string> {
  await setTimeout(1)
  return brokenScope()
}
