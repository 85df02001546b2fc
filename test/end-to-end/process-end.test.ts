import { inspect } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedServices } from '../support/injected.ts'
import { people, startRegister, type Client, type Register } from '../support/register.ts'

let register: Register
let author: Client

beforeAll(async () => {
  register = await startRegister(sharedServices())
  const { person } = await people(register)
  author = (await person('author')).client
})
afterAll(() => register.stop())

test('kill -9 of a process under load loses no audit row or announcement and invents none', async () => {
  const rounds = 3
  let answered = 0
  let going = true
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let n = 0; going; n += 1) {
      const answer = await author
        .request('POST', '/api/v1/documents', { title: `document ${writer}.${n}`, body: '' })
        .catch(() => undefined)
      if (answer?.status === 201) answered += 1
    }
  })
  for (let round = 0; round < rounds; round += 1) {
    const before = answered
    await eventually(() => answered > before + 40, 'load')
    register.apps[0].child.kill('SIGKILL')
    await eventually(() => register.apps[0].child.signalCode === 'SIGKILL', 'the end of the process')
    await register.restartApp(0)
  }
  going = false
  await Promise.all(writers)

  const { rows } = await register.database.query<Record<string, number>>(`
    select (select count(*)::int from documents) as documents,
           (select count(*)::int from audit_logs where action = 'document.create') as audited,
           (select count(*)::int from documents d where not exists
             (select 1 from audit_logs a where a.action = 'document.create' and a.resource_id = d.id::text)) as lost,
           (select count(*)::int from audit_logs a where a.action = 'document.create' and not exists
             (select 1 from documents d where d.id::text = a.resource_id)) as invented`)
  const counts = rows[0] ?? {}
  expect(counts).toMatchObject({ lost: 0, invented: 0, audited: counts.documents })
  expect(counts.documents).toBeGreaterThanOrEqual(answered)

  await eventually(
    () => new Set(register.events().map(event => event.documentId)).size === counts.documents,
    'all announcements',
  )
  console.info(
    `${rounds} kills: ${counts.documents} documents, ${counts.audited} audit rows, ${register.events().length} announcements`,
  )
})

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
        .catch((error: unknown) => ({ status: inspect(error) }))
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
    // nginx comes back to a server that refused it after `fail_timeout`; only then may the other one go.
    const seen = register.nginx.accessLog().length
    const upstream = `127.0.0.1:${register.apps[index].port}`
    await eventually(
      () =>
        register.nginx
          .accessLog()
          .slice(seen)
          .some(line => line.upstream === upstream),
      'its return',
    )
  }
  going = false
  await Promise.all(clients)
  expect(failures, register.nginx.errorLog().slice(-3000)).toEqual([])
  console.info(`3 orderly ends under load: ${answered} requests answered, none lost`)
})
