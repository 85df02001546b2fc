import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { eventually, people, startRegister, type Client, type Register } from '../support/register.ts'

let register: Register
let author: Client

beforeAll(async () => {
  register = await startRegister({
    postgresUrl: inject('postgresUrl'),
    memcachedServer: inject('memcachedServer'),
    amqpUrl: inject('amqpUrl'),
  })
  const { person } = await people(register)
  author = (await person('author')).client
})
afterAll(() => register.stop())

test('SIGTERM of one process behind nginx under load loses no request', async () => {
  const failures: string[] = []
  let answered = 0
  let going = true
  const clients = Array.from({ length: 16 }, async (_, n) => {
    while (going) {
      const [method, status, body] =
        n % 2 === 0 ? (['GET', 200] as const) : (['POST', 201, { title: 'x', body: '' }] as const)
      const answer = await author
        .request(method, '/api/v1/documents', body)
        .catch((error: unknown) => ({ status: String(error) }))
      if (answer.status === status) answered += 1
      else failures.push(`${method} ${answer.status}`)
    }
  })
  for (const index of [0, 1, 0] as const) {
    const before = answered
    await eventually(() => answered > before + 200, 'load')
    const { child } = register.apps[index]
    child.kill('SIGTERM')
    await eventually(() => child.exitCode !== null, 'the orderly end')
    expect(child.exitCode).toBe(0)
    await register.restartApp(index)
  }
  going = false
  await Promise.all(clients)
  expect(failures).toEqual([])
  console.info(`3 orderly ends under load: ${answered} requests answered, none lost`)
})
