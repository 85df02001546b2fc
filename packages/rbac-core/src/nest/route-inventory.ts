import { RequestMethod } from '@nestjs/common'
import { guardOf } from '../http-guard.ts'
import {
  checkRoutes,
  describeRoutes,
  type GuardedRoute,
  type RouteCheckOptions,
  type RouteProblem,
  type RouteWithGuards,
} from '../http-routes.ts'

/** What this package reads of Nest's `ModulesContainer`. */
export interface NestModulesLike {
  values(): Iterable<{ readonly controllers: { values(): Iterable<{ readonly metatype: unknown }> } }>
}

/**
 * Lists the handlers of all controllers with what each requires.
 *
 * Guards of the controller and of the handler count; those of `useGlobalGuards` are not seen. Paths are the controllers'
 * own, without a global prefix, a version or the path of a module.
 *
 * @param modules - What `app.get(ModulesContainer)` gives; the class is exported by `@nestjs/core`.
 * @returns The routes; several guards of one route are joined by " and ".
 * @example
 * ```ts
 * import { routeInventory } from '@countersign/rbac-core/nest'
 * import type { INestApplication } from '@nestjs/common'
 * import { ModulesContainer } from '@nestjs/core'
 *
 * declare const app: INestApplication
 * for (const { method, path, requires } of routeInventory(app.get(ModulesContainer))) {
 *   process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
 * }
 * ```
 */
export function routeInventory(modules: NestModulesLike): GuardedRoute[] {
  return describeRoutes(routesOf(modules))
}

/**
 * Finds handlers that anybody can call and handlers that nobody can, for a test that fails on either.
 *
 * @param modules - What `app.get(ModulesContainer)` gives.
 * @param options - The routes that are meant for anybody, and the policy that must be able to pass the others.
 * @returns The problems; empty when all is well.
 * @throws `INVALID_DEFINITION` when `open` names a route that does not exist, or has a guard.
 * @example
 * ```ts
 * import { routeProblems } from '@countersign/rbac-core/nest'
 * import type { INestApplication } from '@nestjs/common'
 * import { ModulesContainer } from '@nestjs/core'
 * import { strictEqual } from 'node:assert'
 *
 * declare const app: INestApplication
 * strictEqual(routeProblems(app.get(ModulesContainer), { open: ['GET /health'] }).length, 0)
 * ```
 */
export function routeProblems(modules: NestModulesLike, options?: RouteCheckOptions): RouteProblem[] {
  return checkRoutes(routesOf(modules), options)
}

type Controller = abstract new (...args: never) => object

function routesOf(modules: NestModulesLike): RouteWithGuards[] {
  const controllers = [...modules.values()].flatMap(module =>
    [...module.controllers.values()].map(({ metatype }) => metatype as Controller),
  )
  return [...new Set(controllers)].flatMap(controller => {
    const prototype = controller.prototype as object
    return methodNames(prototype).flatMap(name => handlerRoutes(controller, (prototype as Methods)[name]))
  })
}

type Methods = Record<string, object | undefined>

function handlerRoutes(controller: Controller, handler: object | undefined): RouteWithGuards[] {
  const method = metadata('method', handler) as RequestMethod | undefined
  if (method === undefined) return []
  const guards = [controller, handler].flatMap(target =>
    listOf(metadata('__guards__', target)).flatMap(guard => guardOf(guard) ?? []),
  )
  return listOf(metadata('path', controller)).flatMap(start =>
    listOf(metadata('path', handler)).map(end => ({
      method: RequestMethod[method],
      path: `/${[start, end]
        .flatMap(part => String(part).split('/'))
        .filter(Boolean)
        .join('/')}`,
      guards,
    })),
  )
}

/** Reads what Nest's decorators noted, under the keys of its `constants`. */
function metadata(key: 'method' | 'path' | '__guards__', target: object | undefined): unknown {
  const { getMetadata } = Reflect as typeof Reflect & { getMetadata: (key: string, target: object) => unknown }
  return target && getMetadata(key, target)
}

function methodNames(prototype: object): string[] {
  const parent = Object.getPrototypeOf(prototype) as object | null
  if (parent === null) return []
  const own = Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => name !== 'constructor' && typeof value === 'function')
    .map(([name]) => name)
  return [...new Set([...own, ...methodNames(parent)])]
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}
