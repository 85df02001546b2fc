import { request as httpRequest } from 'node:http'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { hashSessionId } from '../../src/collection/request.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { serveExpress } from './frameworks/express.ts'
import { serveFastify } from './frameworks/fastify.ts'
import { serveHono } from './frameworks/hono.ts'
import { serveKoa } from './frameworks/koa.ts'
import type { AppOptions } from './frameworks/served-app.ts'

let log = new MemoryLog()
beforeEach(() => {
  log = new MemoryLog()
})

const json = (value: unknown): RequestInit => ({
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
})

describe.each([
  ['Koa', serveKoa],
  ['Express', serveExpress],
  ['Fastify', serveFastify],
  ['Hono', serveHono],
])('%s', (framework, serve) => {
  type Fetch = (method: string, path: string, init?: RequestInit) => Promise<Response>
  async function start(options: Omit<AppOptions, 'audit'> = {}): Promise<{ origin: string; fetch: Fetch }> {
    const { origin, close } = await serve({ audit: log, ...options })
    onTestFinished(close)
    return { origin, fetch: (method, path, init) => fetch(origin + path, { method, ...init }) }
  }

  describe('which requests get a row', () => {
    test('a changing request is recorded with its route, status and duration, without the query string', async () => {
      const { fetch } = await start()
      const response = await fetch('POST', '/documents/7?token=abc', json({ a: 1 }))
      expect(response.status).toBe(201)
      expect(await response.json()).toEqual({ id: '7', body: { a: 1 } })
      expect(log.rows).toHaveLength(1)
      expect(log.rows[0]?.event).toMatchObject({
        action: 'http.request',
        outcome: 'success',
        severity: 'info',
        request: { method: 'POST', path: '/documents/:id', status: 201, durationMs: expect.any(Number) as number },
        metadata: { requestBytes: 7 },
      })
      expect(log.rows[0]?.event.request).not.toHaveProperty('data')
      expect(JSON.stringify(log.rows)).not.toContain('abc')
    })

    test('an answer without a body is recorded and sent', async () => {
      const { fetch } = await start()
      expect((await fetch('DELETE', '/documents/7')).status).toBe(204)
      expect(log.events).toMatchObject([{ request: { method: 'DELETE', path: '/documents/:id', status: 204 } }])
    })

    test('a request that only reads gets none, unless asked for', async () => {
      const { fetch } = await start()
      await fetch('GET', '/documents/7')
      await fetch('HEAD', '/documents/7')
      expect(log.rows).toEqual([])
      const all = await start({ reads: true })
      await all.fetch('GET', '/documents/7')
      expect(log.events).toMatchObject([{ request: { method: 'GET', path: '/documents/:id', status: 200 } }])
    })

    test('a skipped request gets none, but its denials do', async () => {
      const { fetch } = await start({ skipPath: '/denied' })
      await fetch('GET', '/denied')
      expect(log.actions).toEqual(['authz_fail', 'authz_fail'])
    })

    test('the route of a router inside is recorded whole, also when it fails', async () => {
      const { fetch } = await start()
      await fetch('POST', '/api/v1/documents/7/publish')
      await fetch('POST', '/api/v1/documents/7/fails')
      expect(log.events.map(event => [event.request?.path, event.request?.status])).toEqual([
        ['/api/v1/documents/:id/publish', 204],
        ['/api/v1/documents/:id/fails', 500],
      ])
    })

    test('a request without a route is recorded with its path', async () => {
      const { fetch } = await start()
      await fetch('POST', '/nowhere?x=1')
      expect(log.events).toMatchObject([{ outcome: 'failure', request: { path: '/nowhere', status: 404 } }])
    })
  })

  describe('denials', () => {
    test('a denied read is recorded with one authz_fail for every right that was refused', async () => {
      const { fetch } = await start()
      expect((await fetch('GET', '/denied')).status).toBe(403)
      expect(log.actions).toEqual(['http.request', 'authz_fail', 'authz_fail'])
      expect(log.events[0]).toMatchObject({ outcome: 'denied', severity: 'warn', request: { path: '/denied' } })
      expect(log.events[0]?.metadata?.decisions).toHaveLength(2)
      expect(log.events[1]).toMatchObject({
        action: 'authz_fail',
        severity: 'critical',
        resource: { type: 'permission', id: 'document:read' },
        metadata: { scope: 'team:7', policyVersion: 7, times: 2 },
      })
      expect(new Set(log.rows.map(row => row.context.correlationId)).size).toBe(1)
    })

    test('a denial that is hidden behind 404 is recorded as a denial', async () => {
      const { fetch } = await start()
      await fetch('GET', '/hidden')
      expect(log.events[0]).toMatchObject({ outcome: 'denied', request: { status: 404 } })
    })

    test('granted decisions are kept when asked for', async () => {
      const { fetch } = await start({ allowedDecisions: true })
      await fetch('POST', '/allowed')
      expect(log.events[0]?.metadata).toMatchObject({ decisions: [{ permission: 'document:update', times: 1 }] })
    })

    test('the decisions of two requests at the same time are kept apart', async () => {
      const { fetch } = await start()
      await Promise.all([fetch('GET', '/pair/read'), fetch('GET', '/pair/update')])
      const rows = log.events.filter(({ action }) => action === 'http.request')
      const seen = rows.map(({ metadata }) =>
        (metadata?.decisions as { permission: string }[]).map(({ permission }) => permission),
      )
      expect(seen.sort()).toEqual([
        ['document:read', 'user:read'],
        ['document:update', 'user:update'],
      ])
    })
  })

  describe('the context', () => {
    test('a correlation id in safe form is taken over and answered, an unsafe one replaced', async () => {
      const { fetch } = await start()
      const response = await fetch('POST', '/documents/7', { headers: { 'x-correlation-id': 'req-1.a_B' } })
      expect(response.headers.get('x-correlation-id')).toBe('req-1.a_B')
      expect(log.rows[0]?.context.correlationId).toBe('req-1.a_B')
      const other = await fetch('POST', '/documents/7', {
        headers: { 'x-correlation-id': 'a b', 'x-request-id': 'p1' },
      })
      expect(other.headers.get('x-correlation-id')).toBe('p1')
      const third = await fetch('POST', '/documents/7', { headers: { 'x-correlation-id': '<script>' } })
      expect(third.headers.get('x-correlation-id')).toMatch(/^[\da-f-]{36}$/)
    })

    test('address, agent and trace of the client are on the row', async () => {
      const { fetch } = await start()
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
      await fetch('POST', '/documents/7', { ...json({}), headers: { 'user-agent': 'suite', traceparent } })
      expect(log.rows[0]?.context).toMatchObject({ ip: '127.0.0.1', userAgent: 'suite', traceparent })
    })

    test('who acts is on the row although the session was opened further down, behind a body', async () => {
      const { fetch } = await start()
      await fetch('POST', '/sign-in', json({ name: 'x'.repeat(50_000) }))
      expect(log.rows[0]?.context).toMatchObject({
        actor: { id: 'u1', type: 'user' },
        sessionId: hashSessionId('s1'),
      })
      expect(JSON.stringify(log.rows)).not.toContain('"s1"')
    })
  })

  describe('failures', () => {
    test('an error of the application is recorded with the status it is answered with', async () => {
      const { fetch } = await start()
      const response = await fetch('POST', '/fails')
      expect(response.status).toBe(500)
      expect(response.headers.get('x-correlation-id')).toBe(log.rows[0]?.context.correlationId)
      expect(log.events).toMatchObject([{ outcome: 'failure', severity: 'warn', request: { status: 500 } }])
    })

    const told = framework === 'Koa' ? undefined : watchUnrecorded

    test.each([
      ['a change', 'POST', '/documents/7'],
      ['an answer without a body', 'DELETE', '/documents/7'],
      ['a page with a refused part', 'GET', '/partly'],
    ])('%s that cannot be recorded is answered 503, telling nothing of the inside', async (_what, method, path) => {
      log.failure = new Error('connect ECONNREFUSED 10.0.0.5:5432')
      const unrecorded = told?.()
      const { fetch } = await start()
      const response = await fetch(method, path)
      expect(response.status).toBe(503)
      expect(await response.text()).toBe('Service Unavailable')
      expect(response.headers.get('x-correlation-id')).not.toBeNull()
      expect(response.headers.get('set-cookie')).toBeNull()
      if (unrecorded) expect(unrecorded).toEqual([{ action: 'http.request', error: log.failure }])
    })

    test('a stream that cannot be recorded is not sent', async () => {
      log.failure = new Error('down')
      told?.()
      const { fetch } = await start({ reads: true })
      const response = await fetch('GET', '/stream')
      expect(response.status).toBe(503)
      expect(await response.text()).toBe('Service Unavailable')
    })

    test('a read that is not recorded does not need the log', async () => {
      log.failure = new Error('down')
      const { fetch } = await start()
      expect((await fetch('GET', '/documents/7')).status).toBe(200)
    })

    test('an error of the application is never replaced by the failure to record it', async () => {
      log.failure = new Error('down')
      const unrecorded = told?.()
      const { fetch } = await start()
      expect((await fetch('POST', '/fails')).status).toBe(500)
      if (unrecorded) expect(unrecorded).toHaveLength(1)
    })
  })

  describe('the moment', () => {
    test.each(['/documents/7', '/stream'])('the answer of %s waits until the rows are durable', async path => {
      let store: (() => void) | undefined
      const stored = new Promise<void>(resolve => (store = resolve))
      let asked: (() => void) | undefined
      const recording = new Promise<void>(resolve => (asked = resolve))
      log.beforeStored = {
        then: (...handlers: Parameters<typeof stored.then>) => {
          asked?.()
          return stored.then(...handlers)
        },
      } as Promise<void>
      const { fetch } = await start({ reads: true })
      let answered = false
      const response = fetch('GET', path).then(value => {
        answered = true
        return value
      })
      await recording
      await new Promise(resolve => setTimeout(resolve, 50))
      expect(answered).toBe(false)
      store?.()
      expect((await response).status).toBe(200)
      expect(log.rows).toHaveLength(1)
    })

    test('a stream is recorded before its first byte and sent whole', async () => {
      const { fetch } = await start({ reads: true })
      const response = await fetch('GET', '/stream')
      expect(log.events).toMatchObject([{ request: { path: '/stream', status: 200 } }])
      if (framework !== 'Hono') expect(log.events[0]?.metadata?.streamed).toBe(true)
      expect(await response.text()).toBe(`a long ${'report'.repeat(100_000)}`)
      expect(log.rows).toHaveLength(1)
    })

    test('a stream that breaks off gets a second row in the same request', async () => {
      const { fetch } = await start({ reads: true, requestBody: true })
      const response = await fetch('GET', '/stream/broken')
      await response.body?.cancel()
      await expect.poll(() => log.actions).toEqual(['http.request', 'http.response_aborted'])
      expect(log.events[1]).toMatchObject({ outcome: 'failure', severity: 'warn', request: { path: '/stream/broken' } })
      expect(log.events[1]?.request?.data).toBeUndefined()
      expect(log.rows[1]?.context).toEqual(log.rows[0]?.context)
    })

    test('a request that the client gave up is recorded once, and the denials after that too', async () => {
      const { origin } = await start()
      const outgoing = httpRequest(`${origin}/slow`, { method: 'POST' })
      outgoing.on('error', () => {})
      outgoing.end()
      await new Promise(resolve => setTimeout(resolve, 50))
      outgoing.destroy()
      await expect.poll(() => log.actions).toEqual(['http.request', 'authz_fail'])
      expect(log.events[0]).toMatchObject({ request: { path: '/slow' }, metadata: { aborted: true } })
      expect(log.events[1]).toMatchObject({ resource: { id: 'document:late' } })
    })

    test('requests on one connection, one after the other, are answered in order', async () => {
      const { fetch } = await start()
      for (const id of ['1', '2', '3']) {
        expect(await (await fetch('POST', `/documents/${id}`, json({}))).json()).toMatchObject({ id })
      }
      expect(log.rows).toHaveLength(3)
    })
  })

  test('a body is given to the log when asked for', async () => {
    const { fetch } = await start({ requestBody: true })
    await fetch('POST', '/documents/7', json({ title: 'Minutes', password: 'x' }))
    expect(log.events[0]?.request?.data).toEqual({ title: 'Minutes', password: 'x' })
  })
})

/** Collects what cannot be recorded, until the test ends. */
function watchUnrecorded(): unknown[] {
  const seen: unknown[] = []
  const listener = (message: unknown): void => {
    seen.push(message)
  }
  subscribe('countersign.audit-log.unrecorded', listener)
  onTestFinished(() => {
    unsubscribe('countersign.audit-log.unrecorded', listener)
  })
  return seen
}
