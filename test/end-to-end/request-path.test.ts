import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sharedServices } from '../support/injected.ts'
import { clientOf, people, startRegister, type Client, type Register } from '../support/register.ts'

let register: Register
let admin: Client
let person: Awaited<ReturnType<typeof people>>['person']

beforeAll(async () => {
  register = await startRegister(sharedServices())
  ;({ admin, person } = await people(register))
})
afterAll(() => register.stop())

interface AuditRow {
  action: string
  user_id: string | null
  correlation_id: string
  response_status: number | null
  old_values: Record<string, unknown> | null
  new_values: Record<string, unknown> | null
  xid: string
}

async function auditRows(correlationId: string | null): Promise<AuditRow[]> {
  const { rows } = await register.database.query<AuditRow>(
    'select *, xid::text from audit_logs where correlation_id = $1',
    [correlationId],
  )
  return rows
}

test('signing in makes a session whose id is stored as a hash only', async () => {
  const token = admin.token ?? ''
  const { rows } = await register.database.query<{ row: string }>('select sessions::text as row from sessions')
  const text = rows.map(({ row }) => row).join('\n')
  expect(token.length).toBeGreaterThanOrEqual(43)
  expect(text).not.toContain(token)
  const hash = createHash('sha256').update(token).digest()
  expect(text.includes(hash.toString('hex')) || text.includes(hash.toString('base64url'))).toBe(true)
})

test('the worker keeps the log and the sessions in order', async () => {
  await eventually(() => register.worker.log.some(line => line.message === 'maintenance done'), 'the maintenance')
})

test('a wrong password and an unknown name get the same answer, and an audit row each', async () => {
  const anybody = clientOf(register.nginx.url, { ca: register.nginx.ca })
  const wrong = await anybody.request('POST', '/api/v1/session', { username: 'admin', password: 'not the password' })
  const unknown = await anybody.request('POST', '/api/v1/session', { username: 'nobody', password: 'not the password' })
  expect([wrong.status, unknown.status]).toEqual([401, 401])
  expect(wrong.body).toEqual(unknown.body)
  for (const { headers } of [wrong, unknown]) {
    const rows = await auditRows(headers.get('x-correlation-id'))
    expect(rows.map(row => row.action)).toContain('authn_login_fail')
  }
})

describe('a change', () => {
  test('writes document, audit row and announcement in one transaction, under one correlation id to the file', async () => {
    const { client, userId } = await person('author')
    const created = await client.request<{ id: string }>('POST', '/api/v1/documents', {
      title: 'Minutes',
      body: 'We met.',
    })
    expect(created.status).toBe(201)
    const correlationId = created.headers.get('x-correlation-id') ?? ''
    expect(correlationId).not.toBe('')

    const row = (await auditRows(correlationId)).find(({ action }) => action === 'document.create')
    expect(row).toMatchObject({
      user_id: userId,
      old_values: null,
      new_values: { id: created.body.id, title: 'Minutes', status: 'draft' },
    })
    const { rows } = await register.database.query<{ xmin: string }>('select xmin::text from documents where id = $1', [
      created.body.id,
    ])
    expect(BigInt(row?.xid ?? 0) % 2n ** 32n).toBe(BigInt(rows[0]?.xmin ?? -1))

    await eventually(() => register.events().some(event => event.documentId === created.body.id), 'the announcement')
    const event = register.events().find(({ documentId }) => documentId === created.body.id)
    expect(event).toMatchObject({ change: 'created', correlationId })
    await eventually(() => register.worker.log.some(line => line.messageId === event?.id), "the worker's log line")
    expect(register.worker.log.find(line => line.messageId === event?.id)).toMatchObject({ correlationId })
  })

  test('keeps old and new values of what changed and nothing else', async () => {
    const { client } = await person('author')
    const { body: document } = await client.request<{ id: string }>('POST', '/api/v1/documents', {
      title: 'Draft',
      body: 'One',
    })
    const patched = await client.request('PATCH', `/api/v1/documents/${document.id}`, { title: 'Final' })
    expect(patched).toMatchObject({ status: 200, body: { title: 'Final', body: 'One' } })
    const row = (await auditRows(patched.headers.get('x-correlation-id'))).find(
      ({ action }) => action === 'document.update',
    )
    expect(row).toMatchObject({ old_values: { title: 'Draft' }, new_values: { title: 'Final' } })

    const deleted = await client.request('DELETE', `/api/v1/documents/${document.id}`)
    expect(deleted.status).toBe(204)
    const last = (await auditRows(deleted.headers.get('x-correlation-id'))).find(
      ({ action }) => action === 'document.delete',
    )
    expect(last).toMatchObject({ old_values: { title: 'Final' }, new_values: null })
  })

  test('with a text that no database keeps is refused, not failed', async () => {
    const { client } = await person('author')
    for (const title of ['a\0b', 'a\ud800b']) {
      const answer = await client.request('POST', '/api/v1/documents', { title, body: '' })
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ field: 'title' }] } })
    }
  })

  test('that is not valid changes nothing and names the fields', async () => {
    const { client } = await person('author')
    const answer = await client.request('POST', '/api/v1/documents', { title: '', status: 'published' })
    expect(answer.status).toBe(422)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    const fields = (answer.body.errors as { field: string }[]).map(error => error.field)
    expect(fields.sort()).toEqual(['body', 'status', 'title'])
  })
})

test('a document is published by somebody else than its author', async () => {
  const author = await person('author', 'publisher')
  const publisher = await person('publisher')
  const { body } = await author.client.request<{ id: string }>('POST', '/api/v1/documents', {
    title: 'Budget',
    body: '',
  })
  const own = await author.client.request('POST', `/api/v1/documents/${body.id}/publish`)
  expect(own).toMatchObject({ status: 403, body: { code: 'FOUR_EYES' } })
  const other = await publisher.client.request('POST', `/api/v1/documents/${body.id}/publish`)
  expect(other).toMatchObject({ status: 200, body: { status: 'published', published_by: publisher.userId } })
})

test.each([
  ['GET', '/api/v1/documents'],
  ['POST', '/api/v1/documents'],
  ['GET', '/api/v1/documents/0192d1f0-0000-7000-8000-000000000000'],
  ['PATCH', '/api/v1/documents/0192d1f0-0000-7000-8000-000000000000'],
  ['DELETE', '/api/v1/documents/0192d1f0-0000-7000-8000-000000000000'],
  ['POST', '/api/v1/documents/0192d1f0-0000-7000-8000-000000000000/publish'],
  ['GET', '/api/v1/users'],
  ['POST', '/api/v1/users'],
  ['PUT', '/api/v1/users/0192d1f0-0000-7000-8000-000000000000/roles/author'],
  ['DELETE', '/api/v1/users/0192d1f0-0000-7000-8000-000000000000/roles/author'],
])('%s %s: nobody gets 401, who lacks the right gets 403, and both leave an audit row', async (method, path) => {
  const nobody = clientOf(register.nginx.url, { ca: register.nginx.ca })
  const { client: stranger, userId } = await person()
  const unknown = await nobody.request(method, path)
  const denied = await stranger.request(method, path)
  expect([unknown.status, denied.status]).toEqual([401, 403])
  for (const { headers, body, status } of [unknown, denied]) {
    expect(headers.get('content-type')).toContain('application/problem+json')
    expect(body).toMatchObject({ status })
  }
  const [unknownRows, deniedRows] = [
    await auditRows(unknown.headers.get('x-correlation-id')),
    await auditRows(denied.headers.get('x-correlation-id')),
  ]
  expect(unknownRows.find(row => row.action === 'authz_fail')).toMatchObject({ user_id: null })
  expect(deniedRows.find(row => row.action === 'authz_fail')).toMatchObject({ user_id: userId })
})

test('a viewer reads and may not write', async () => {
  const { client } = await person('viewer')
  expect((await client.request('GET', '/api/v1/documents')).status).toBe(200)
  expect((await client.request('POST', '/api/v1/documents', { title: 'x', body: '' })).status).toBe(403)
})

test('a role revoked through one process is refused by the other within the stated bound, at once as a rule', async () => {
  const [one, two] = register.apps
  const delays: number[] = []
  for (let round = 0; round < 10; round += 1) {
    const { client, userId } = await person('viewer')
    const second = client.at(two.url)
    expect((await second.request('GET', '/api/v1/documents')).status).toBe(200)
    const revoked = await admin.at(one.url).request('DELETE', `/api/v1/users/${userId}/roles/viewer`)
    expect(revoked.status).toBe(204)
    const since = performance.now()
    await eventually(async () => (await second.request('GET', '/api/v1/documents')).status === 403, 'the refusal', 5000)
    delays.push(performance.now() - since)
  }
  delays.sort((a, b) => a - b)
  console.info(
    `revocation seen by the other process: p50 ${delays[5]?.toFixed(1)} ms, max ${delays.at(-1)?.toFixed(1)} ms (bound 5000 ms)`,
  )
})

test('signing out ends the session in every process', async () => {
  const { client } = await person('viewer')
  const [one, two] = register.apps
  expect((await client.at(two.url).request('GET', '/api/v1/session')).status).toBe(200)
  expect((await client.at(one.url).request('DELETE', '/api/v1/session')).status).toBe(204)
  expect((await client.at(one.url).request('GET', '/api/v1/session')).status).toBe(401)
  expect((await client.at(two.url).request('GET', '/api/v1/session')).status).toBe(401)
})

describe('nginx', () => {
  test('sends a page asked for in the clear to https and refuses the API there', async () => {
    const plain = clientOf(register.nginx.plainUrl)
    const api = await plain.request('GET', '/api/v1/documents')
    expect(api).toMatchObject({ status: 403, body: { code: 'HTTPS_REQUIRED' } })
  })

  test('keeps health and metrics inside and sets the security headers on every answer', async () => {
    const nobody = clientOf(register.nginx.url, { ca: register.nginx.ca })
    for (const path of ['/livez', '/readyz', '/.git/config']) {
      const { status } = await nobody.request('GET', path).catch(() => ({ status: 404 }))
      expect(status).toBe(404)
    }
    const { headers } = await nobody.request('GET', '/api/v1/documents')
    expect(headers.get('strict-transport-security')).toContain('max-age=63072000')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('server')).toBe('nginx')
  })

  test('passes the address it saw, not the one that the client claims', async () => {
    const nobody = clientOf(register.nginx.url, { ca: register.nginx.ca })
    const { headers } = await nobody.request('GET', '/api/v1/documents', undefined, { 'x-forwarded-for': '6.6.6.6' })
    const { rows } = await register.database.query<{ ip_address: string }>(
      'select host(ip_address::inet) as ip_address from audit_logs where correlation_id = $1',
      [headers.get('x-correlation-id')],
    )
    expect(new Set(rows.map(row => row.ip_address))).toEqual(new Set(['127.0.0.1']))
  })
})
