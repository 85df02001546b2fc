import { vi } from 'vitest'

/** Waits until the check passes; long enough for a machine that is busy with other things. */
export async function eventually<Value>(check: () => Value | Promise<Value>): Promise<Value> {
  return vi.waitFor(check, { timeout: 15_000, interval: 2 })
}
