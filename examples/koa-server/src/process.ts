import type { Logger } from 'pino'
import { ConfigError, readConfig, type Config } from './config.ts'
import { createLog } from './log.ts'
import { aborted, StopRequest, stopSignal } from './stop-signal.ts'
import { openSystem, type System } from './system.ts'

export interface ProcessOptions {
  readonly service: string
  readonly onProgress?: (step: string) => void
  /** Starts the process's own work on the opened system; what it needs to end, it adds to `resources`. */
  readonly begin: (system: System, resources: AsyncDisposableStack) => Promise<void>
}

/**
 * Runs one process from its settings to its orderly end: opens the system, begins the work, waits for a signal and
 * closes everything in reverse order, also when the signal or an error comes during the start.
 */
export async function runProcess({ service, onProgress, begin }: ProcessOptions): Promise<void> {
  let log: Logger | undefined
  try {
    const config = readConfig(process.env)
    log = createLog(service, config.logLevel)
    await runUntilStopped(config, log, onProgress, begin)
  } catch (error) {
    if (error instanceof StopRequest) return
    process.exitCode = 1
    if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`)
    else if (log) log.fatal({ err: error }, 'the process failed')
    else throw error
  }
}

async function runUntilStopped(
  config: Config,
  log: Logger,
  onProgress: ProcessOptions['onProgress'],
  begin: ProcessOptions['begin'],
): Promise<void> {
  const stop = stopSignal()
  await using resources = new AsyncDisposableStack()
  const system = await openSystem(config, log, resources, step => {
    stop.throwIfAborted()
    onProgress?.(step)
  })
  stop.throwIfAborted()
  await begin(system, resources)
  await aborted(stop)
  log.info('stopping')
}
