/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once.
 * Its reason is a `StopRequest`, so that an interrupted start is told apart from a failed one.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const onSignal = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
    controller.abort(new StopRequest(signal))
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal)
  return controller.signal
}

export class StopRequest extends Error {
  override readonly name = 'StopRequest'

  constructor(signal: NodeJS.Signals) {
    super(`asked to stop by ${signal}`)
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else
      signal.addEventListener(
        'abort',
        () => {
          resolve()
        },
        { once: true },
      )
  })
}
