const firstMs = 100
const longestMs = 10_000

/** Full jitter, so that processes which lost one server do not come back to it in step. */
export function backoffMs(failures: number): number {
  return Math.random() * Math.min(longestMs, firstMs * 2 ** Math.min(failures, 16))
}

/** Resolves to true after `ms`, or to false as soon as `signal` aborts, and leaves no timer. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false)
  return new Promise(resolve => {
    const onAbort = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve(true)
    }, ms)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
