import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until a condition holds and fails when it takes too long. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it did not come true within ${timeoutMs} ms: ${condition.toString()}`)
    await sleep(5)
  }
}

/** A promise and the way to settle it. */
export function gate<T = void>(): { opened: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => undefined
  const opened = new Promise<T>(resolve => (open = resolve))
  return { opened, open }
}
