import type { Guard } from '../guard.ts'

/** Under this symbol a middleware carries its guard; another copy of this package reads it too. */
export const guardKey: unique symbol = Symbol.for('countersign.rbac-core.guard') as typeof guardKey

/** Returns the guard that a middleware is made of, if it is one. */
export function guardOf(middleware: unknown): Guard | undefined {
  if (typeof middleware !== 'function') return undefined
  return (middleware as { readonly [guardKey]?: Guard })[guardKey]
}
