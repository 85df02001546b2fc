// `pnpm start`: builds, then runs the server with embedded parts for whatever the environment does not name.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { checkSettings, progress, serveLocally } from './local.ts'
import type { serve as Serve } from './src/serve.ts'

checkSettings()
progress('building the packages and the server')
const build = spawnSync('pnpm', ['run', '--silent', 'build:js'], {
  cwd: join(import.meta.dirname, '../..'),
  stdio: ['ignore', 'inherit', 'inherit'],
})
if (build.error) console.error(`the build did not start: ${build.error.message}`)
if (build.status !== 0) process.exit(build.signal ? 130 : 1)

const { serve } = (await import(new URL('dist/serve.js', import.meta.url).href)) as { serve: typeof Serve }
await serveLocally(serve)
