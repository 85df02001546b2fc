import { channel } from 'node:diagnostics_channel'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import Router from '@koa/router'
import Koa from 'koa'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type AuditContext, currentAuditContext } from '../../src/collection/context.ts'
import { decisionChannel } from '../../src/collection/decision.ts'
import { hashSessionId } from '../../src/collection/request.ts'
import { koaAudit, type KoaAuditOptions } from '../../src/koa/index.ts'
import { MemoryLog } from '../support/memory-log.ts'

interface State {
  session?: { id: string; userId: string }
}

interface Serving {
  readonly origin: string
  fetch(method: string, path: string, init?: RequestInit): Promise<Response>
}

let log = new MemoryLog()
let errors: unknown[] = []
beforeEach(() => {
  log = new MemoryLog()
  errors = []
})

async function serve(
  use: (app: Koa, router: Router) => void,
  options: Partial<KoaAuditOptions> = {},
  around?: Koa.Middleware,
): Promise<Serving> {
  const app = new Koa()
  const router = new Router()
  app.on('error', error => errors.push(error))
  if (around) app.use(around)
  app.use(koaAudit({ audit: log, ...options }))
  use(app, router)
  app.use(router.routes())
  const server = app.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { origin, fetch: (method, path, init) => fetch(origin + path, { method, ...init }) }
}

function deny(permission: string, scope?: string): void {
  channel(decisionChannel).publish({
    allowed: false,
    permission,
    reason: 'not-granted',
    subjectId: 'u1',
    scope,
    policyVersion: 7,
  })
}

function allow(permission: string): void {
  channel(decisionChannel).publish({
    allowed: true,
    permission,
    reason: 'granted',
    subjectId: 'u1',
    grantedBy: ['editor'],
  })
}

describe('which requests get a row', () => {
  const routes = (_: Koa, router: Router): void => {
    router.all('/documents/:id', ctx => {
      ctx.body = { id: ctx.params.id! }
    })
  }

  test('a changing request is recorded with its route, status and duration, without the query string', async () => {
    const { fetch } = await serve(routes)
    await fetch('POST', '/documents/7?token=abc', { body: '{"a":1}' })
    expect(log.rows).toHaveLength(1)
    expect(log.rows[0]?.event).toEqual({
      action: 'http.request',
      outcome: 'success',
      severity: 'info',
      request: { method: 'POST', path: '/documents/:id', status: 200, durationMs: expect.any(Number) as number },
      metadata: { requestBytes: 7 },
    })
  })

  test('a request that only reads gets none', async () => {
    const { fetch } = await serve(routes)
    await fetch('GET', '/documents/7')
    await fetch('HEAD', '/documents/7')
    expect(log.rows).toEqual([])
  })

  test('reads are recorded when asked for, for all or for some', async () => {
    const all = await serve(routes, { reads: true })
    await all.fetch('GET', '/documents/7')
    const some = await serve(routes, { reads: ctx => ctx.path.endsWith('8') })
    await some.fetch('GET', '/documents/7')
    await some.fetch('GET', '/documents/8')
    expect(log.rows).toHaveLength(2)
  })

  test('a skipped request gets none, but its denials do', async () => {
    const { fetch } = await serve(
      app => {
        app.use(ctx => {
          if (ctx.path === '/denied') deny('document:read')
          ctx.status = 204
        })
      },
      { skip: () => true },
    )
    await fetch('POST', '/health')
    expect(log.actions).toEqual([])
    await fetch('POST', '/denied')
    expect(log.actions).toEqual(['authz_fail'])
  })

  test('the route of a nested router is recorded whole, and a pattern as its text', async () => {
    const { fetch } = await serve((_, router) => {
      const documents = new Router()
      documents.post('/:id/publish', ctx => (ctx.status = 204))
      router.use('/api/v1/documents', documents.routes())
      router.post(/^\/files\/(.+)/, ctx => (ctx.status = 204))
    })
    await fetch('POST', '/api/v1/documents/7/publish')
    await fetch('POST', '/files/a/b')
    expect(log.events.map(event => event.request?.path)).toEqual([
      '/api/v1/documents/:id/publish',
      '/^\\/files\\/(.+)/',
    ])
  })

  test('a request without a route is recorded with its path', async () => {
    const { fetch } = await serve(routes)
    await fetch('DELETE', '/nowhere?x=1')
    expect(log.rows[0]?.event).toMatchObject({ outcome: 'failure', request: { path: '/nowhere', status: 404 } })
  })
})

describe('denials', () => {
  test('a denied read is recorded with one authz_fail for every right that was refused', async () => {
    const { fetch } = await serve(app => {
      app.use(ctx => {
        deny('document:read', 'team:7')
        deny('document:read', 'team:7')
        deny('user:manage')
        allow('document:list')
        ctx.status = 403
      })
    })
    await fetch('GET', '/')
    expect(log.actions).toEqual(['http.request', 'authz_fail', 'authz_fail'])
    expect(log.rows[0]?.event).toMatchObject({ outcome: 'denied', severity: 'warn' })
    expect(log.rows[0]?.event.metadata?.decisions).toHaveLength(2)
    expect(log.rows[1]?.event).toEqual({
      action: 'authz_fail',
      outcome: 'denied',
      severity: 'critical',
      resource: { type: 'permission', id: 'document:read' },
      metadata: { reason: 'not-granted', subjectId: 'u1', scope: 'team:7', policyVersion: 7, times: 2 },
    })
    expect(new Set(log.rows.map(row => row.context.correlationId)).size).toBe(1)
  })

  test('an unauthenticated read is recorded although no decision was taken', async () => {
    const { fetch } = await serve(app => app.use(ctx => ctx.throw(401)))
    expect((await fetch('GET', '/')).status).toBe(401)
    expect(log.rows[0]?.event).toMatchObject({ outcome: 'denied', request: { status: 401 } })
  })

  test('a denial that is hidden behind 404 is recorded as a denial', async () => {
    const { fetch } = await serve(app => {
      app.use(ctx => {
        deny('document:read')
        ctx.status = 404
      })
    })
    await fetch('GET', '/')
    expect(log.rows[0]?.event).toMatchObject({ outcome: 'denied', request: { status: 404 } })
  })

  test('granted decisions are kept when asked for', async () => {
    const { fetch } = await serve(
      app => {
        app.use(ctx => {
          allow('document:update')
          ctx.status = 204
        })
      },
      { allowedDecisions: true },
    )
    await fetch('PUT', '/')
    expect(log.actions).toEqual(['http.request'])
    expect(log.rows[0]?.event.metadata).toMatchObject({
      decisions: [{ allowed: true, permission: 'document:update', grantedBy: ['editor'], times: 1 }],
    })
  })

  test('the decisions of two requests at the same time are kept apart', async () => {
    let release: (() => void) | undefined
    const both = new Promise<void>(resolve => (release = resolve))
    let waiting = 0
    const { fetch } = await serve(app => {
      app.use(async ctx => {
        deny(`document:${ctx.path.slice(1)}`)
        if (++waiting === 2) release?.()
        await both
        deny(`user:${ctx.path.slice(1)}`)
        ctx.status = 403
      })
    })
    await Promise.all([fetch('GET', '/read'), fetch('GET', '/update')])
    for (const name of ['read', 'update']) {
      const row = log.rows.find(({ event }) => event.request?.path === `/${name}`)
      expect(row?.event.metadata?.decisions).toMatchObject([
        { permission: `document:${name}` },
        { permission: `user:${name}` },
      ])
    }
  })

  test('a flood of denials is bounded and the rest counted', async () => {
    const { fetch } = await serve(app => {
      app.use(ctx => {
        for (let i = 0; i < 150; i++) deny(`document:a${i}`)
        ctx.status = 403
      })
    })
    await fetch('GET', '/')
    expect(log.actions.filter(action => action === 'authz_fail')).toHaveLength(100)
    expect(log.rows[0]?.event.metadata?.decisionsOmitted).toBe(50)
  })
})

describe('the context', () => {
  test('a correlation id in safe form is taken over and answered', async () => {
    const { fetch } = await serve(app => app.use(ctx => (ctx.status = 204)))
    const response = await fetch('POST', '/', { headers: { 'x-correlation-id': 'req-1.a_B' } })
    expect(response.headers.get('x-correlation-id')).toBe('req-1.a_B')
    expect(log.rows[0]?.context.correlationId).toBe('req-1.a_B')
  })

  test('the request id of a proxy is the second choice', async () => {
    const { fetch } = await serve(app => app.use(ctx => (ctx.status = 204)))
    const response = await fetch('POST', '/', { headers: { 'x-correlation-id': 'a b', 'x-request-id': 'proxy-1' } })
    expect(response.headers.get('x-correlation-id')).toBe('proxy-1')
  })

  test.each(['', 'a b', "'; drop table", 'a'.repeat(129), '<script>', 'ü'])(
    'the unsafe id %j is replaced',
    async id => {
      const { fetch } = await serve(app => app.use(ctx => (ctx.status = 204)))
      const response = await fetch('POST', '/', { headers: { 'x-correlation-id': id } })
      expect(response.headers.get('x-correlation-id')).toMatch(/^[\da-f-]{36}$/)
    },
  )

  test('address, agent and trace of the client are known everywhere below', async () => {
    let seen: AuditContext | undefined
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const { fetch } = await serve(app => {
      app.use(ctx => {
        seen = currentAuditContext()
        ctx.status = 204
      })
    })
    await fetch('GET', '/', { headers: { 'user-agent': `x${'y'.repeat(600)}`, traceparent } })
    expect(seen).toMatchObject({ ip: '127.0.0.1', userAgent: `x${'y'.repeat(511)}`, traceparent })
    await fetch('GET', '/', { headers: { traceparent: '00-zz' } })
    expect(seen?.traceparent).toBeUndefined()
  })

  test('who acts is known from the moment the session is, to rows below and to the row of the request', async () => {
    const actors: unknown[] = []
    const { fetch } = await serve(
      app => {
        app.use(async (ctx, next) => {
          actors.push(currentAuditContext()?.actor)
          ;(ctx.state as State).session = { id: 's1', userId: 'u1' }
          await next()
        })
        app.use(ctx => {
          actors.push(currentAuditContext()?.actor)
          ctx.status = 204
        })
      },
      {
        actor: ctx => {
          const { session } = ctx.state as State
          return session && { id: session.userId, type: 'user' }
        },
        sessionId: ctx => (ctx.state as State).session?.id,
        tenantId: () => 't1',
      },
    )
    await fetch('POST', '/')
    expect(actors).toEqual([undefined, { id: 'u1', type: 'user' }])
    expect(log.rows[0]?.context).toMatchObject({
      actor: { id: 'u1', type: 'user' },
      sessionId: hashSessionId('s1'),
      tenantId: 't1',
    })
    expect(JSON.stringify(log.rows)).not.toContain('"s1"')
  })
})

describe('errors', () => {
  test('an error from further down is recorded with its status and answered as it was', async () => {
    const error = Object.assign(new Error('title is missing'), { status: 422, expose: true, headers: { 'x-own': '1' } })
    const { fetch } = await serve(app => {
      app.use(() => {
        throw error
      })
    })
    const response = await fetch('POST', '/')
    expect(response.status).toBe(422)
    expect(await response.text()).toBe('title is missing')
    expect(response.headers.get('x-own')).toBe('1')
    expect(response.headers.get('x-correlation-id')).toBe(log.rows[0]?.context.correlationId)
    expect(errors).toEqual([error])
    expect(log.rows[0]?.event).toMatchObject({ outcome: 'failure', request: { status: 422 } })
  })

  test.each([
    [new Error('x'), 500],
    [Object.assign(new Error('x'), { statusCode: 409 }), 409],
    [Object.assign(new Error('x'), { status: 'gone' }), 500],
    [Object.assign(new Error('x'), { status: 799 }), 500],
    ['a text', 500],
  ])('the recorded status is the one Koa answers: %s', async (error, status) => {
    const { fetch } = await serve(app => {
      app.use(() => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- anything can be thrown
        throw error
      })
    })
    expect((await fetch('POST', '/')).status).toBe(status)
    expect(log.rows[0]?.event.request?.status).toBe(status)
  })

  test('the status of an error handler around it can be told', async () => {
    const { fetch } = await serve(
      app => {
        app.use(() => {
          throw new RangeError('no such document')
        })
      },
      { errorStatus: error => (error instanceof RangeError ? 404 : 500) },
    )
    await fetch('DELETE', '/')
    expect(log.rows[0]?.event.request?.status).toBe(404)
  })

  test('an error that cannot be changed is thrown on as it is', async () => {
    const error: Error = Object.freeze(new Error('frozen'))
    let caught: unknown
    const { fetch } = await serve(
      app => {
        app.use(() => {
          throw error
        })
      },
      {},
      async (ctx, next) => {
        await next().catch((thrown: unknown) => {
          caught = thrown
        })
        ctx.status = 500
      },
    )
    await fetch('POST', '/')
    expect(caught).toBe(error)
  })

  test('a request whose row cannot be stored is answered with 503, telling nothing of the inside', async () => {
    log.failure = new Error('connect ECONNREFUSED 10.0.0.5:5432')
    const { fetch } = await serve(app => app.use(ctx => (ctx.body = 'created')))
    const response = await fetch('POST', '/')
    expect(response.status).toBe(503)
    expect(await response.text()).toBe('Service Unavailable')
    expect(response.headers.get('x-correlation-id')).not.toBeNull()
    expect(errors).toMatchObject([{ code: 'AUDIT_NOT_RECORDED', cause: log.failure }])
  })

  test('a denial that cannot be stored is answered with 503', async () => {
    log.failure = new Error('down')
    const { fetch } = await serve(app => {
      app.use(ctx => {
        deny('document:read')
        ctx.body = 'a page without the refused part'
      })
    })
    expect((await fetch('GET', '/')).status).toBe(503)
  })

  test('a read that is not recorded does not need the log', async () => {
    log.failure = new Error('down')
    const { fetch } = await serve(app => app.use(ctx => (ctx.body = 'page')))
    expect((await fetch('GET', '/')).status).toBe(200)
  })

  test('an error is never replaced by the failure to record it, and both are told to the operator', async () => {
    log.failure = new Error('down')
    const error = Object.assign(new Error('conflict'), { status: 409, expose: true })
    const { fetch } = await serve(app => {
      app.use(() => {
        throw error
      })
    })
    const response = await fetch('POST', '/')
    expect(response.status).toBe(409)
    expect(await response.text()).toBe('conflict')
    expect(errors).toMatchObject([{ code: 'AUDIT_NOT_RECORDED' }, error])
  })
})

describe('the moment', () => {
  test('the answer waits until the rows are durable', async () => {
    let store: (() => void) | undefined
    log.beforeStored = new Promise<void>(resolve => (store = resolve))
    let handled: (() => void) | undefined
    const done = new Promise<void>(resolve => (handled = resolve))
    const { fetch } = await serve(app => {
      app.use(ctx => {
        ctx.body = 'ok'
        handled?.()
      })
    })
    let answered = false
    const response = fetch('POST', '/').then(value => {
      answered = true
      return value
    })
    await done
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(answered).toBe(false)
    store?.()
    expect((await response).status).toBe(200)
    expect(log.rows).toHaveLength(1)
  })

  test('a stream is recorded before its first byte and marked', async () => {
    const { fetch } = await serve(
      app => {
        app.use(ctx => {
          const stream = new PassThrough()
          ctx.body = stream
          stream.end('a long report')
        })
      },
      { reads: true },
    )
    const response = await fetch('GET', '/')
    expect(log.rows[0]?.event).toMatchObject({ request: { status: 200 }, metadata: { streamed: true } })
    expect(await response.text()).toBe('a long report')
    expect(log.rows).toHaveLength(1)
  })

  test('a stream that breaks off gets a second row in the same request', async () => {
    const stream = new PassThrough()
    const { fetch } = await serve(
      app => {
        app.use(ctx => {
          Object.assign(ctx.request, { body: { a: 1 } })
          ctx.body = stream
          stream.write('the first half')
        })
      },
      { reads: true, requestBody: true },
    )
    const response = await fetch('GET', '/report')
    await response.body?.cancel()
    await expect.poll(() => log.actions).toEqual(['http.request', 'http.response_aborted'])
    expect(log.rows[1]?.event).toMatchObject({ outcome: 'failure', severity: 'warn', request: { path: '/report' } })
    expect(log.rows[1]?.event.request?.data).toBeUndefined()
    expect(log.rows[1]?.context).toEqual(log.rows[0]?.context)
  })

  test('a request that the client gave up is recorded as such', async () => {
    let started: (() => void) | undefined
    const running = new Promise<void>(resolve => (started = resolve))
    const { origin } = await serve(app => {
      app.use(async ctx => {
        started?.()
        await new Promise(resolve => ctx.res.once('close', resolve))
        ctx.body = 'nobody reads this'
      })
    })
    const outgoing = httpRequest(origin, { method: 'POST' })
    outgoing.on('error', () => {})
    outgoing.end()
    await running
    outgoing.destroy()
    await expect.poll(() => log.rows).toHaveLength(1)
    expect(log.rows[0]?.event).toMatchObject({ request: { status: 200 }, metadata: { aborted: true } })
  })
})

describe('bodies', () => {
  const withBody = (app: Koa): void => {
    app.use(ctx => {
      Object.assign(ctx.request, { body: { title: 'Minutes', password: 'x' } })
      ctx.status = 201
    })
  }

  test('are left out by default', async () => {
    const { fetch } = await serve(withBody)
    await fetch('POST', '/')
    expect(log.rows[0]?.event.request).not.toHaveProperty('data')
  })

  test('are given to the log when asked for', async () => {
    const { fetch } = await serve(withBody, { requestBody: true })
    await fetch('POST', '/')
    expect(log.rows[0]?.event.request?.data).toEqual({ title: 'Minutes', password: 'x' })
  })
})
