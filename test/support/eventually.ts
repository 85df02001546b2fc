import { setTimeout as sleep } from 'node:timers/promises'

/** Thrown inside a condition of `eventually` when waiting on is useless. */
export class Fatal extends Error {}

/** Waits until the condition holds; an assertion that throws counts as not yet. */
export async function eventually(condition: () => unknown, what: string, timeoutMs = 30_000): Promise<void> {
  let last: unknown
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(20)) {
    try {
      if ((await condition()) !== false) return
      last = undefined
    } catch (error) {
      if (error instanceof Fatal) throw error
      last = error
    }
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last })
}
