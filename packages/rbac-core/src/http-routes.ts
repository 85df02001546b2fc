import { InvalidDefinitionError } from './errors.ts'
import type { Guard } from './guard.ts'
import type { Policy } from './policy.ts'

/** One route, and what its guards require; undefined for a route that anybody can call. */
export interface GuardedRoute {
  readonly method: string
  readonly path: string
  readonly requires: string | undefined
}

/** A route that has no guard, or one that no role of the policy can pass. */
export interface RouteProblem {
  readonly method: string
  readonly path: string
  readonly problem: 'unguarded' | 'never-granted'
}

/** What a check of the routes takes as right. */
export interface RouteCheckOptions {
  /** The routes that are meant for anybody, such as `GET /health`. */
  readonly open?: readonly string[] | undefined
  /** The policy whose roles must be able to pass each guard; without it that is not looked at. */
  readonly policy?: Policy | undefined
}

/** A route as a framework's door finds it, with the guards that stand before its handler. */
export interface RouteWithGuards {
  readonly method: string
  readonly path: string
  readonly guards: readonly Guard[]
}

/** Lists the routes with what each requires. */
export function describeRoutes(routes: readonly RouteWithGuards[]): GuardedRoute[] {
  return listed(routes).map(({ method, path, guards }) => ({
    method,
    path,
    requires: guards.length === 0 ? undefined : guards.map(guard => guard.requires).join(' and '),
  }))
}

/** Finds the routes that anybody can call and are not meant to be, and those that nobody can. */
export function checkRoutes(routes: readonly RouteWithGuards[], options: RouteCheckOptions = {}): RouteProblem[] {
  const open = new Set(options.open)
  const problems: RouteProblem[] = []
  for (const { method, path, guards } of listed(routes)) {
    if (guards.length === 0) {
      if (!open.delete(`${method} ${path}`)) problems.push({ method, path, problem: 'unguarded' })
    } else if (options.policy !== undefined) {
      const { policy } = options
      if (!guards.every(guard => guard.grantable(policy))) problems.push({ method, path, problem: 'never-granted' })
    }
  }
  const [absent] = open
  if (absent !== undefined) throw new InvalidDefinitionError('open', `${absent} is no route without a guard`)
  return problems
}

/** A route for HEAD is left out where GET's answers it. */
function listed(routes: readonly RouteWithGuards[]): readonly RouteWithGuards[] {
  const gets = new Set(routes.filter(({ method }) => method === 'GET').map(({ path }) => path))
  return routes.filter(({ method, path }) => method !== 'HEAD' || !gets.has(path))
}
