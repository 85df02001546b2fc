import { ConfigError, readConfig } from './src/config.ts'
import type { serve as Serve } from './src/serve.ts'
import { welcome } from './src/welcome.ts'

const startedAt = performance.now()

/** Tells a person at a terminal what is being done, and since when. */
export function progress(step: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)
  console.log(`${seconds} s  ${step}`)
}

/** Ends this process with a line for each wrong setting, before anything is started. */
export function checkSettings(): void {
  try {
    readConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    console.error(error.message)
    process.exit(1)
  }
}

/** Serves as a person wants it on their own machine: few log lines, the worker along, a welcome. */
export async function serveLocally(serve: typeof Serve): Promise<void> {
  process.chdir(import.meta.dirname)
  process.env.LOG_LEVEL ??= 'warn'
  process.env.RUN_WORKER ??= 'true'
  await serve({
    onProgress: progress,
    onListening: (system, address) => {
      progress('ready')
      process.stdout.write(welcome(system, address))
    },
  })
}
