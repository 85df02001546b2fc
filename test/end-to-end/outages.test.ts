import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startMemcached } from '../support/memcached.ts'
import { startRabbitMq, type RabbitMq } from '../support/rabbitmq.ts'
import { eventually } from '../support/eventually.ts'
import { people, startRegister, type Client, type Register } from '../support/register.ts'
import type { Service } from '../support/service.ts'

let memcached: Service
let rabbitmq: RabbitMq
let register: Register
let admin: Client
let person: Awaited<ReturnType<typeof people>>['person']

beforeAll(async () => {
  ;[memcached, rabbitmq] = await Promise.all([startMemcached(), startRabbitMq()])
  register = await startRegister({
    postgresUrl: inject('postgresUrl'),
    memcachedServer: `127.0.0.1:${memcached.port}`,
    amqpUrl: rabbitmq.url,
  })
  ;({ admin, person } = await people(register))
})
afterAll(async () => {
  await register.stop()
  await Promise.all([memcached.stop(), rabbitmq.stop()])
})

test('with memcached stopped, frozen or back again sessions stay, rights are right and revocations hold', async () => {
  const reader = await person('viewer')
  const author = await person('author')

  const worksAsItShould = async (): Promise<void> => {
    expect((await reader.client.request('GET', '/api/v1/documents')).status).toBe(200)
    expect((await reader.client.request('POST', '/api/v1/documents', { title: 'x', body: '' })).status).toBe(403)
    expect((await author.client.request('POST', '/api/v1/documents', { title: 'x', body: '' })).status).toBe(201)
    const newcomer = await person('viewer')
    expect((await newcomer.client.request('GET', '/api/v1/documents')).status).toBe(200)
    await admin.request('DELETE', `/api/v1/users/${newcomer.userId}/roles/viewer`)
    await eventually(
      async () => (await newcomer.client.request('GET', '/api/v1/documents')).status === 403,
      'the refusal',
      5000,
    )
  }

  await worksAsItShould()
  await memcached.kill()
  await worksAsItShould()
  memcached = await startMemcached({ port: memcached.port })
  await worksAsItShould()
  memcached.pause()
  await worksAsItShould()
  memcached.resume()
  await worksAsItShould()
})

test('a session that ended while memcached was away does not come back with it', async () => {
  const { client } = await person('viewer')
  const [one, two] = register.apps
  for (const app of [one, two]) expect((await client.at(app.url).request('GET', '/api/v1/session')).status).toBe(200)
  memcached.pause()
  expect((await client.at(one.url).request('DELETE', '/api/v1/session')).status).toBe(204)
  memcached.resume()
  for (const app of [one, two]) expect((await client.at(app.url).request('GET', '/api/v1/session')).status).toBe(401)
})

test('with RabbitMQ killed writes go on, and every announcement arrives when it is back', async () => {
  const { client } = await person('author')
  const written = new Set<string>()
  const outage = new AbortController()
  const writer = (async () => {
    while (!outage.signal.aborted) {
      const { status, body } = await client.request<{ id: string }>('POST', '/api/v1/documents', {
        title: 'through an outage',
        body: '',
      })
      expect(status).toBe(201)
      written.add(body.id)
      await sleep(10)
    }
  })()
  try {
    await eventually(() => written.size > 20, 'writes before the outage')
    await rabbitmq.kill()
    const before = written.size
    await eventually(() => written.size > before + 50, 'writes during the outage')
    await rabbitmq.restart()
  } finally {
    outage.abort()
    await writer
  }

  const announced = (): Set<string> => new Set(register.events().map(event => event.documentId))
  await eventually(() => [...written].every(id => announced().has(id)), 'every announcement', 60_000)
  const copies = register.events().filter(event => written.has(event.documentId)).length
  console.info(`RabbitMQ killed: ${written.size} changes, ${copies} announcements`)
})
