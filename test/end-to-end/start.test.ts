import { execFile } from 'node:child_process'
import { spawn, type ChildProcess } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/service.ts'

const run = promisify(execFile)
const server = join(import.meta.dirname, '../../examples/koa-server')

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('start')
})
afterAll(() => folder.remove())

interface Started {
  child: ChildProcess
  output: () => string
  errors: () => string
}

/** Runs the start command in a process group of its own, as a terminal does. */
function start(environment: Record<string, string> = {}): Started {
  let output = ''
  let errors = ''
  const child = spawn(process.execPath, [join(server, 'start.ts')], {
    cwd: join(server, '../..'),
    detached: true,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATA_DIRECTORY: folder.path, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  return { child, output: () => output, errors: () => errors }
}

/** What Ctrl-C does: the signal goes to the whole foreground group. */
async function pressCtrlC({ child }: Started): Promise<void> {
  process.kill(-(child.pid ?? 0), 'SIGINT')
  await eventually(() => hasEnded(child), 'the end of the start command')
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function leftOver(): Promise<string> {
  const { stdout } = await run('ps', ['-eo', 'pid,args'])
  return stdout
    .split('\n')
    .filter(line => line.includes(folder.path))
    .join('\n')
}

const ready = ({ output, child, errors }: Started) =>
  eventually(() => {
    if (hasEnded(child)) throw new Error(`ended: ${output()} ${errors()}`)
    return output().includes('Ctrl-C stops everything')
  }, 'the welcome')

test('the start command prints a sign-in and lines that work when pasted; Ctrl-C ends all of it; a second start keeps the data', async () => {
  const first = start()
  await ready(first)
  expect(first.output()).toContain('building')
  expect(first.output()).toContain('migrating')

  const lines = first
    .output()
    .split('\n')
    .filter(line => /^ {4}(PASSWORD=|TOKEN=|curl)/.test(line))
  expect(lines).toHaveLength(5)
  const { stdout } = await run('bash', ['-ec', lines.join('\n')])
  const statuses = [...stdout.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(match => match[1])
  expect(statuses).toEqual(['401', '201'])
  expect(stdout.trim().split('\n').at(-1)).toContain('"title":"Minutes"')

  await pressCtrlC(first)
  expect(first.child.exitCode).toBe(0)
  expect(await leftOver()).toBe('')

  const since = performance.now()
  const second = start()
  await ready(second)
  console.info(`second start: ${Math.round(performance.now() - since)} ms`)
  expect(second.output()).toContain('the password of the first start')
  const password = /PASSWORD='([^']+)'/.exec(first.output())?.[1]
  const again = lines
    .map(line => line.replace(/127\.0\.0\.1:\d+/g, /127\.0\.0\.1:\d+/.exec(second.output())?.[0] ?? ''))
    .filter(line => !line.includes('Minutes'))
  const kept = await run('bash', ['-ec', again.join('\n').replace('<the password>', password ?? '')])
  expect(kept.stdout.trim().split('\n').at(-1)).toContain('"title":"Minutes"')
  await pressCtrlC(second)
  expect(await leftOver()).toBe('')
})

test.each([0, 600, 1200, 1400, 1600])(
  'Ctrl-C %i ms after a first start leaves no process and a state that starts again',
  async delayMs => {
    await rm(folder.path, { recursive: true, force: true })
    const interrupted = start()
    await sleep(delayMs)
    await pressCtrlC(interrupted)
    await eventually(async () => (await leftOver()) === '', 'the end of all processes', 5000)
    const next = start()
    await ready(next)
    await pressCtrlC(next)
  },
)

test('a start after kill -9 finds the data and no obstacle', async () => {
  const killed = start()
  await ready(killed)
  killed.child.kill('SIGKILL')
  await eventually(async () => (await leftOver()) === '', 'the end of the orphaned database')
  const next = start()
  await ready(next)
  await pressCtrlC(next)
})

describe('a wrong setting', () => {
  test('gets one line each that names the variable and what was expected, and no secret', async () => {
    const wrong = start({
      DATABASE_URL: 'mysql://root:hunter2@localhost/x',
      MEMCACHED_SERVERS: 'localhost',
      AMQP_URL: 'http://guest:hunter2@localhost',
      PORT: '99999',
    })
    await eventually(() => hasEnded(wrong.child), 'the end')
    expect(wrong.child.exitCode).toBe(1)
    expect(wrong.errors().trim().split('\n').sort()).toEqual([
      'AMQP_URL: expected amqp://user:password@host:port/vhost',
      'DATABASE_URL: expected postgres://user:password@host:port/database',
      'MEMCACHED_SERVERS: expected host:port, several separated by commas',
      'PORT: expected a number from 1 to 65535',
    ])
    expect(wrong.output() + wrong.errors()).not.toContain('hunter2')
  })

  test('a database that does not answer is named too', async () => {
    const wrong = start({ DATABASE_URL: 'postgres://postgres:hunter2@127.0.0.1:1/x' })
    await eventually(() => hasEnded(wrong.child), 'the end')
    expect(wrong.child.exitCode).toBe(1)
    expect(wrong.errors().trim()).toMatch(/^DATABASE_URL: expected a PostgreSQL that answers; got ECONNREFUSED$/)
  })

  test('a broker that refuses us is named, and one that is down is waited for', async () => {
    const amqp = new URL(inject('amqpUrl'))
    amqp.password = 'hunter2'
    const refused = start({ AMQP_URL: amqp.href })
    await eventually(() => hasEnded(refused.child), 'the end')
    expect(refused.child.exitCode).toBe(1)
    expect(refused.errors().trim()).toBe(
      'AMQP_URL: expected a user, a password and a virtual host that RabbitMQ accepts',
    )
    expect(refused.output()).not.toContain('hunter2')

    const down = start({ AMQP_URL: 'amqp://guest:hunter2@127.0.0.1:1' })
    await ready(down)
    expect(down.output()).toContain('announcements wait in the outbox')
    expect(down.output()).not.toContain('hunter2')
    await pressCtrlC(down)
  })
})
