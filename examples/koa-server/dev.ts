// `pnpm dev`: runs the sources, of the packages too, and starts again when one of them changes.
import { spawn } from 'node:child_process'

process.chdir(import.meta.dirname)
const child = spawn(
  process.execPath,
  ['--conditions=@countersign/source', '--watch', '--watch-preserve-output', 'src/main.ts'],
  { stdio: 'inherit', env: { RUN_WORKER: 'true', ...process.env } },
)
// Ctrl-C reaches the child from the terminal; we leave when it has stopped.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.once('exit', code => {
  process.exitCode = code ?? 0
})
