// `pnpm start`: builds, then runs the server with embedded parts for whatever the environment does not name.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ConfigError, readConfig } from './src/config.ts'
import type { serve as Serve } from './src/serve.ts'
import { welcome } from './src/welcome.ts'

const root = join(import.meta.dirname, '../..')
const startedAt = performance.now()

function progress(step: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)
  console.log(`${seconds} s  ${step}`)
}

try {
  readConfig(process.env)
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.error(error.message)
  process.exit(1)
}

progress('building the packages and the server')
const build = spawnSync('pnpm', ['run', '--silent', 'build:js'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
if (build.error) console.error(`the build did not start: ${build.error.message}`)
if (build.status !== 0) process.exit(build.signal ? 130 : 1)

process.chdir(import.meta.dirname)
process.env.LOG_LEVEL ??= 'warn'
process.env.RUN_WORKER ??= 'true'
const { serve } = (await import(new URL('dist/serve.js', import.meta.url).href)) as { serve: typeof Serve }
await serve({
  onProgress: progress,
  onListening: ({ firstAdministrator }, address) => {
    progress('ready')
    process.stdout.write(welcome(address, firstAdministrator))
  },
})
