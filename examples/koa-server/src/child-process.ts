import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { createServer, Socket } from 'node:net'

// Reads "+pid" and "-pid" lines until this process is gone, however it went, then ends what is still listed: PostgreSQL
// ends quickly by SIGINT, which RabbitMQ ignores.
const reaperScript = `
trap '' INT TERM HUP
list=' '
while read -r line; do
  case $line in
    +*) list="$list\${line#+} " ;;
    -*) pid=\${line#-}; list="\${list%% $pid *} \${list#* $pid }" ;;
  esac
done
for pid in $list; do kill -INT "$pid" 2>/dev/null; done
[ "$list" = ' ' ] && exit
sleep 2
for pid in $list; do kill -TERM "$pid" 2>/dev/null; done
`

let reaper: ChildProcess | undefined

function tellReaper(line: string): void {
  if (!reaper) {
    reaper = spawn('/bin/sh', ['-c', reaperScript], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    reaper.unref()
    // A pipe is a socket to Node; it must not keep this process alive.
    if (reaper.stdin instanceof Socket) reaper.stdin.unref()
  }
  reaper.stdin?.write(`${line}\n`)
}

/**
 * Starts a program that must not outlive this process: Ctrl-C in the terminal does not reach it, so that it can be
 * stopped in order, and a shell that waits for our end stops it when we are killed.
 */
export function spawnTied(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn(command, args, { ...options, detached: true })
  const { pid } = child
  if (pid !== undefined) {
    tellReaper(`+${pid}`)
    child.once('exit', () => {
      tellReaper(`-${pid}`)
    })
  }
  return child
}

/** Sends a signal and waits for the end; after `graceMs` milliseconds it sends SIGKILL. */
export async function stopChild(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  graceMs = 10_000,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => {
      resolve()
    })
  })
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await ended
  clearTimeout(timer)
}

/** Asks the system for a TCP port on the loopback address that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address && typeof address === 'object') resolve(address.port)
        else reject(new Error('the system gave no port'))
      })
    })
  })
}
