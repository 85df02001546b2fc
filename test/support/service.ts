import { spawnTied, stopChild } from 'koa-server/child-process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export { freePort, spawnTied, stopChild } from 'koa-server/child-process'

/** A real server that a test started, and can hurt. */
export interface Service {
  readonly port: number
  readonly pid: number
  /** Ends it in order. */
  stop(): Promise<void>
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  /** Freezes it: connections stay open and nothing answers. */
  pause(): void
  resume(): void
}

export function serviceOf(child: ChildProcess, port: number, stopSignal: NodeJS.Signals = 'SIGTERM'): Service {
  const { pid } = child
  if (pid === undefined) throw new Error(`${child.spawnfile} did not start; is it installed?`)
  return {
    port,
    pid,
    stop: () => stopChild(child, stopSignal),
    kill: () => stopChild(child, 'SIGKILL'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }
}

/** Starts a program and waits until it accepts connections on the port. */
export async function startService(
  command: string,
  args: readonly string[],
  port: number,
  stopSignal?: NodeJS.Signals,
): Promise<Service> {
  const child = spawnTied(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const failed = new Promise<never>((_, reject) => {
    child.once('error', cause => {
      reject(new Error(`${command} did not start; is it installed?`, { cause }))
    })
    child.once('exit', code => {
      reject(new Error(`${command} ended with ${code}: ${output}`))
    })
  })
  failed.catch(() => undefined)
  await Promise.race([failed, portAnswers(port)])
  return serviceOf(child, port, stopSignal)
}

export async function portAnswers(port: number, timeoutMs = 30_000): Promise<void> {
  for (let waited = 0; waited < timeoutMs; waited += 50) {
    const open = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => {
        resolve(false)
      })
    })
    if (open) return
    await sleep(50)
  }
  throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms`)
}

/** A folder that is removed by the function returned with it. */
export async function temporaryFolder(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `countersign-${name}-`))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
