import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'
import { backoff, createQueue } from '../../src/index.ts'
import { runCommand } from '../../src/rabbitmq/cli/commands.ts'
import { rabbitmqTransport } from '../../src/rabbitmq/index.ts'
import { numberTask } from '../support/schemas.ts'
import { until } from '../support/wait.ts'

async function run(...argv: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = []
  const code = await runCommand(argv, { env: { AMQP_URL: inject('amqpUrl') }, print: line => lines.push(line) })
  return { code, lines }
}

test('shows what waits, lists dead letters and puts them back to work', async () => {
  const prefix = `t${randomBytes(5).toString('hex')}-`
  const queue = createQueue({ transport: rabbitmqTransport({ url: inject('amqpUrl') }), prefix })
  const task = numberTask('mail', { retry: backoff({ attempts: 1, firstMs: 0 }) })
  const worker = queue.work(task, () => {
    throw new Error('no luck')
  })
  await queue.enqueue(task, { n: 1 }, { id: 'm1' })
  await queue.enqueue(task, { n: 2 }, { id: 'm2' })
  await until(async () => (await queue.dead(task).count()) === 2)
  await worker.stop()

  const listed = await run('dead', 'list', 'mail', '--prefix', prefix)
  expect(listed.code).toBe(0)
  expect(listed.lines.map(line => JSON.parse(line) as unknown)).toMatchObject([
    { id: 'm1', input: { n: 1 }, reason: 'failed', errorMessage: 'no luck' },
    { id: 'm2', input: { n: 2 } },
  ])
  expect(await run('dead', 'redrive', 'mail', '--id', 'm2', '--prefix', prefix)).toEqual({
    code: 0,
    lines: ['redriven 1'],
  })
  await until(async () => (await queue.depth(task)).normal === 1 && (await queue.depth(task)).dead === 1)
  expect(await run('depth', 'mail', '--prefix', prefix)).toEqual({
    code: 0,
    lines: [
      `${prefix}mail.high ready=0 consumers=0`,
      `${prefix}mail.normal ready=1 consumers=0`,
      `${prefix}mail.low ready=0 consumers=0`,
      `${prefix}mail.dead ready=1 consumers=0`,
    ],
  })
  await queue.close()
})

test('a name that the broker does not know is an error, and becomes no queue', async () => {
  for (const command of [['depth'], ['dead', 'list'], ['dead', 'redrive']]) {
    const { code, lines } = await run(...command, 'nobody.knows.this')
    expect(code).toBe(1)
    expect(lines.join()).toMatch(/^UNKNOWN_TASK: /)
  }
})

test('prints the topology without a broker', async () => {
  const { code, lines } = await run('topology', 'user.changed', '--group', 'audit')
  expect(code).toBe(0)
  expect(lines).toContain('binding countersign.events -> user.changed@audit on user.changed')
  expect(lines.find(line => line.startsWith('queue user.changed@audit '))).toBe(
    'queue user.changed@audit x-queue-type=quorum x-delivery-limit=20 x-dead-letter-exchange=(default) ' +
      'x-dead-letter-routing-key=user.changed@audit.dead x-dead-letter-strategy=at-least-once x-overflow=reject-publish',
  )
})

test('what it does not understand is answered with its usage', async () => {
  for (const argv of [[], ['dead'], ['depth'], ['fly', 'x'], ['depth', 'x', '--wings']]) {
    const { code, lines } = await run(...argv)
    expect(code).toBe(2)
    expect(lines.join('\n')).toContain('usage: countersign-queue')
  }
})

test('runs as a program, and shows no password when the broker refuses it', async () => {
  const script = fileURLToPath(new URL('../../src/rabbitmq/cli/index.ts', import.meta.url))
  const start = promisify(execFile)
  const { stdout } = await start(process.execPath, [script, 'topology', 'mail'])
  expect(stdout).toContain('queue mail.high')
  const wrong = new URL(inject('amqpUrl'))
  wrong.password = 'sesame-42'
  const failed = start(process.execPath, [script, 'depth', 'mail', '--url', wrong.href])
  await expect(failed).rejects.toMatchObject({ code: 1, stdout: /^BROKER_REFUSED: / })
  await failed.catch((error: unknown) => {
    expect((error as { stdout: string }).stdout).not.toContain('sesame')
  })
})
