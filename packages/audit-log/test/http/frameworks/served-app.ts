import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, type Readable } from 'node:stream'
import type { Actor } from '../../../src/audit-event.ts'
import { decisionChannel } from '../../../src/collection/decision.ts'
import type { RequestRecorder } from '../../../src/collection/request.ts'

/** A session as the application keeps it; it is opened further down than the audit. */
export interface Session {
  id?: string
  userId?: string
}

/** What the suite sets, in the form that each framework's options are made of. */
export interface AppOptions {
  readonly audit: RequestRecorder
  readonly reads?: boolean
  readonly allowedDecisions?: boolean
  readonly requestBody?: boolean
  readonly skipPath?: string
  /** What `POST /changes` does. */
  readonly change?: () => Promise<unknown>
}

export interface ServedApp {
  readonly origin: string
  readonly close: () => Promise<void>
}

export type Serve = (options: AppOptions) => Promise<ServedApp>

export interface Call {
  readonly id: string | undefined
  readonly session: Session
  readonly body: unknown
  /** Settles when the client has gone. */
  readonly gone: Promise<unknown>
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: object | undefined
  readonly stream?: Readable | undefined
}

export interface Route {
  readonly method: 'get' | 'post' | 'delete'
  readonly path: string
  readonly handle: (call: Call) => Reply | Promise<Reply>
}

export function deny(permission: string, scope?: string): void {
  const facts = { reason: 'not-granted', subjectId: 'u1', scope, policyVersion: 7 }
  channel(decisionChannel).publish({ allowed: false, permission, ...facts })
}

function allow(permission: string): void {
  channel(decisionChannel).publish({ allowed: true, permission, reason: 'granted', grantedBy: ['editor'] })
}

export function actorOf(session: Session): Actor | undefined {
  return session.userId === undefined ? undefined : { id: session.userId, type: 'user' }
}

/** The application's routes: those under `/api/v1` belong to a router, a plugin or an app of their own. */
export function routesOf(change: AppOptions['change']): { readonly own: Route[]; readonly mounted: Route[] } {
  let waiting = 0
  let release: (() => void) | undefined
  const both = new Promise<void>(resolve => (release = resolve))

  const own: Route[] = [
    { method: 'get', path: '/documents/:id', handle: ({ id }) => ({ status: 200, body: { id } }) },
    { method: 'post', path: '/documents/:id', handle: ({ id, body }) => ({ status: 201, body: { id, body } }) },
    { method: 'delete', path: '/documents/:id', handle: () => ({ status: 204 }) },
    {
      method: 'get',
      path: '/denied',
      handle: () => {
        deny('document:read', 'team:7')
        deny('document:read', 'team:7')
        deny('user:manage')
        allow('document:list')
        return { status: 403, body: {} }
      },
    },
    {
      method: 'get',
      path: '/hidden',
      handle: () => {
        deny('document:read')
        return { status: 404, body: {} }
      },
    },
    {
      method: 'get',
      path: '/partly',
      handle: () => {
        deny('document:read')
        const headers = { 'set-cookie': 'a=1' }
        return { status: 200, headers, body: { page: 'without the refused part' } }
      },
    },
    {
      method: 'post',
      path: '/allowed',
      handle: () => {
        allow('document:update')
        return { status: 204 }
      },
    },
    {
      method: 'get',
      path: '/pair/:id',
      handle: async ({ id }) => {
        deny(`document:${id}`)
        if (++waiting === 2) release?.()
        await both
        deny(`user:${id}`)
        return { status: 403, body: {} }
      },
    },
    {
      method: 'post',
      path: '/fails',
      handle: () => {
        throw new Error('the secret of the handler')
      },
    },
    {
      method: 'get',
      path: '/stream',
      handle: () => {
        const stream = new PassThrough()
        stream.write('a long ')
        setImmediate(() => stream.end('report'.repeat(100_000)))
        return { status: 200, stream }
      },
    },
    {
      method: 'get',
      path: '/stream/broken',
      handle: () => {
        const stream = new PassThrough()
        stream.write('the first half')
        return { status: 200, stream }
      },
    },
    {
      method: 'post',
      path: '/slow',
      handle: async ({ gone }) => {
        await gone
        deny('document:late')
        return { status: 200, body: {} }
      },
    },
    {
      method: 'post',
      path: '/changes',
      handle: async ({ session }) => {
        Object.assign(session, { id: 's1', userId: 'u1' })
        await change?.()
        return { status: 201, body: {} }
      },
    },
    {
      method: 'post',
      path: '/sign-in',
      handle: ({ session }) => {
        Object.assign(session, { id: 's1', userId: 'u1' })
        return { status: 204 }
      },
    },
  ]
  const mounted: Route[] = [
    { method: 'post', path: '/documents/:id/publish', handle: () => ({ status: 204 }) },
    {
      method: 'post',
      path: '/documents/:id/fails',
      handle: () => {
        throw new Error('the secret of the handler')
      },
    },
  ]
  return { own, mounted }
}

/** Serves on a free port. */
export async function listen(
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<ServedApp> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export function closed(response: ServerResponse): Promise<unknown> {
  return new Promise(resolve => response.once('close', resolve))
}
