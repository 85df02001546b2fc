import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until a condition holds, looking often; throws after `ms`. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 2000): Promise<void> {
  const end = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`The condition did not come true within ${ms} ms`)
    await sleep(1)
  }
}

/** Waits for a time of the monotonic clock. */
export async function waitUntil(time: number): Promise<void> {
  while (performance.now() < time) await sleep(Math.max(1, time - performance.now()))
}
