/** Under this symbol a guard's middleware tells what it requires; another copy of this package reads it too. */
export const requires: unique symbol = Symbol.for('countersign.rbac-core.requires') as typeof requires

/** Returns what a middleware requires, in words, if it is a guard. */
export function requirementOf(middleware: unknown): string | undefined {
  if (typeof middleware !== 'function' || !(requires in middleware)) return undefined
  return String(middleware[requires])
}
