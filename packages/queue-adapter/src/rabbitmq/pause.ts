const firstPauseMs = 100
const longestPauseMs = 10_000

/** Waits a random time below a ceiling that doubles with each attempt, so that many processes do not come back as one. */
export async function jitteredPause(attempt: number, signal: AbortSignal): Promise<void> {
  const ceiling = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 20))
  await new Promise<void>(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, Math.random() * ceiling)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done)
  })
}
