import { AsyncLocalStorage } from 'node:async_hooks'
import type { Access } from './access.ts'

const key = Symbol.for('countersign.rbac-core.access-context')

/** One storage per process: a guard of another copy of this package finds the access too. */
function storage(): AsyncLocalStorage<Access | undefined> {
  const holder = globalThis as { [key]?: AsyncLocalStorage<Access | undefined> }
  return (holder[key] ??= new AsyncLocalStorage())
}

const accesses = storage()

/**
 * Runs `run` with `access` as the current access, also in everything it awaits.
 *
 * @param access - The access; undefined hides the one outside, so that guards answer `UNAUTHENTICATED`.
 * @param run - The code to run.
 * @returns What `run` returns.
 */
export function runWithAccess<Result>(access: Access | undefined, run: () => Result): Result {
  return accesses.run(access, run)
}

/** Returns the access that `runWithAccess` set for the running code, if any. */
export function currentAccess(): Access | undefined {
  return accesses.getStore()
}
