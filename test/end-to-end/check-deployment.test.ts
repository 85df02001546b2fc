import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { people, startRegister, type Register } from '../support/register.ts'
import { temporaryFolder } from '../support/service.ts'

const run = promisify(execFile)
const script = join(import.meta.dirname, '../../examples/koa-server/ops/check-deployment.mjs')

let register: Register
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let environment: Record<string, string>
beforeAll(async () => {
  register = await startRegister({
    postgresUrl: inject('postgresUrl'),
    memcachedServer: inject('memcachedServer'),
    amqpUrl: inject('amqpUrl'),
  })
  folder = await temporaryFolder('check')
  const certificate = join(folder.path, 'ca.pem')
  await writeFile(certificate, register.nginx.ca)
  const { username } = await (await people(register)).person('viewer')
  environment = {
    NODE_EXTRA_CA_CERTS: certificate,
    CHECK_USERNAME: username,
    CHECK_PASSWORD: `password of ${username}`,
    REPLACE: `kill -TERM ${register.apps[0].child.pid}; sleep 4`,
  }
})
afterAll(async () => {
  await register.stop()
  await folder.remove()
})

async function check(names: string[], changes: Record<string, string> = {}): Promise<{ code: number; errors: string }> {
  const ended = await run(process.execPath, [script, register.nginx.url, ...names], {
    env: { ...process.env, ...environment, ...changes },
  }).catch((error: unknown) => error as { code: number; stderr: string })
  return { code: 'code' in ended ? ended.code : 0, errors: ended.stderr }
}

test('a deployment that behaves passes every check, also while an instance is replaced', async () => {
  expect(await check(['outside', 'sign-in', 'replacement'])).toEqual({ code: 0, errors: '' })
  await register.restartApp(0)
})

test('a user who may write is found by the sign-in check', async () => {
  const { username } = await (await people(register)).person('author')
  const changes = { CHECK_USERNAME: username, CHECK_PASSWORD: `password of ${username}` }
  const { code, errors } = await check(['sign-in'], changes)
  expect(code).toBe(1)
  expect(errors).toBe('writing without the permission: expected 403, got 201\n')
})

test('requests that are lost during a replacement are found', async () => {
  const pids = register.apps.map(({ child }) => child.pid).join(' ')
  const { code, errors } = await check(['replacement'], {
    REPLACE: `kill -STOP ${pids}; sleep 1; kill -CONT ${pids}; kill -KILL ${pids}; sleep 1`,
  })
  expect(code).toBe(1)
  expect(errors).toContain('a request while an instance is replaced: expected 401, got 502')
})
