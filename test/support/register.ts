import { spawnTied, stopChild } from 'koa-server/child-process'
import { Agent, fetch, type RequestInit, type Response } from 'undici'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { eventually, Fatal } from './eventually.ts'
import { startNginx, type Nginx } from './nginx.ts'
import { createDatabase } from './postgres.ts'
import { freePort, temporaryFolder } from './service.ts'

const server = join(import.meta.dirname, '../../examples/koa-server')
const adminPassword = 'correct horse battery staple'

export interface RegisterServices {
  postgresUrl: string
  memcachedServer: string
  amqpUrl: string
}

/** One process of the register: the HTTP server or the worker. */
export interface RegisterProcess {
  readonly port: number
  readonly child: ChildProcess
  /** What it logged so far, one parsed JSON line each. */
  readonly log: readonly Record<string, unknown>[]
  readonly url: string
}

/** The deployed system: nginx with TLS, two HTTP processes, a worker, over the services given. */
export interface Register {
  readonly nginx: Nginx
  readonly apps: readonly [RegisterProcess, RegisterProcess]
  readonly worker: RegisterProcess
  readonly database: pg.Pool
  readonly eventsFile: string
  /** The lines that the worker wrote. */
  events(): Announcement[]
  restartApp(index: 0 | 1): Promise<void>
  stop(): Promise<void>
}

export interface Announcement {
  id: string
  correlationId: string
  documentId: string
  change: string
}

export async function startRegister(
  services: RegisterServices,
  environment: Record<string, string> = {},
): Promise<Register> {
  const database = await createDatabase(services.postgresUrl)
  const folder = await temporaryFolder('register')
  const eventsFile = join(folder.path, 'events.jsonl')
  const ports = [await freePort(), await freePort()] as const
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    MEMCACHED_SERVERS: services.memcachedServer,
    AMQP_URL: services.amqpUrl,
    EVENTS_FILE: eventsFile,
    ADMIN_PASSWORD: adminPassword,
    TRUST_PROXY: 'true',
    ...environment,
  }
  const startApp = (port: number): Promise<RegisterProcess> =>
    startProcess('main', { ...env, PORT: String(port) }, port, 'listening')

  const first = await startApp(ports[0])
  const [second, worker] = await Promise.all([
    startApp(ports[1]),
    startProcess('worker', { ...env, PORT: String(ports[0]) }, 0, 'working'),
  ])
  const apps: [RegisterProcess, RegisterProcess] = [first, second]
  const nginx = await startNginx(ports)
  const pool = new pg.Pool({ connectionString: database.url, max: 4 })
  pool.on('error', () => undefined)

  return {
    nginx,
    apps,
    worker,
    database: pool,
    eventsFile,
    events: () => {
      const text = existsSync(eventsFile) ? readFileSync(eventsFile, 'utf8') : ''
      return text
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line) as Announcement)
    },
    restartApp: async index => {
      apps[index] = await startApp(ports[index])
    },
    stop: async () => {
      await nginx.stop()
      await Promise.all([...apps, worker].map(({ child }) => stopChild(child)))
      await pool.end()
      await database.drop()
      await folder.remove()
    },
  }
}

async function startProcess(
  entry: string,
  env: NodeJS.ProcessEnv,
  port: number,
  readyMessage: string,
): Promise<RegisterProcess> {
  const child = spawnTied(process.execPath, [join(server, `dist/${entry}.js`)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: Record<string, unknown>[] = []
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', line => {
      log.push(JSON.parse(line) as Record<string, unknown>)
    })
  }
  await eventually(() => {
    if (child.exitCode !== null)
      throw new Fatal(`${entry} ended with ${child.exitCode}: ${errors} ${JSON.stringify(log)}`)
    return log.some(line => line.message === readyMessage)
  }, `${entry} to say "${readyMessage}"`)
  return { port, child, log, url: `http://127.0.0.1:${port}` }
}

export interface Answer<T> {
  readonly status: number
  readonly headers: Response['headers']
  readonly body: T
}

/** A person or program that uses the API at one address. */
export interface Client {
  readonly token: string | undefined
  request<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>
  /** The same person at another address. */
  at(address: string): Client
}

export function clientOf(address: string, options: { ca?: string; token?: string | undefined } = {}): Client {
  const { ca, token } = options
  // undici fails requests under way when nginx ends an HTTP/2 connection after its thousandth request, as it may.
  const dispatcher = new Agent({ connections: 64, allowH2: false, ...(ca !== undefined && { connect: { ca } }) })
  return {
    token,
    at: other => clientOf(other, options),
    async request<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
      const init: RequestInit = {
        method,
        dispatcher,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }
      const response = await fetch(`${address}${path}`, init)
      const text = await response.text()
      return {
        status: response.status,
        headers: response.headers,
        body: (text === '' ? undefined : JSON.parse(text)) as T,
      }
    },
  }
}

async function signIn(client: Client, username: string, password: string): Promise<{ userId: string; token: string }> {
  const { status, body } = await client.request<{ token: string; user: { id: string } }>('POST', '/api/v1/session', {
    username,
    password,
  })
  if (status !== 201) throw new Error(`sign-in of ${username} was answered with ${status}: ${JSON.stringify(body)}`)
  return { token: body.token, userId: body.user.id }
}

/** The administrator, and a maker of users with the roles named. */
export async function people(register: Register): Promise<{
  admin: Client
  person: (...roles: string[]) => Promise<{ client: Client; userId: string; username: string }>
}> {
  const { url, ca } = register.nginx
  const anybody = clientOf(url, { ca })
  const { token } = await signIn(anybody, 'admin', adminPassword)
  const admin = clientOf(url, { ca, token })
  return {
    admin,
    async person(...roles) {
      const username = `u${randomUUID().slice(0, 8)}`
      const password = `password of ${username}`
      const created = await admin.request<{ id: string }>('POST', '/api/v1/users', {
        username,
        email: `${username}@example.org`,
        password,
      })
      if (created.status !== 201) throw new Error(`no user: ${JSON.stringify(created.body)}`)
      for (const role of roles) {
        const { status } = await admin.request('PUT', `/api/v1/users/${created.body.id}/roles/${role}`)
        if (status !== 204) throw new Error(`role ${role} was answered with ${status}`)
      }
      const session = await signIn(anybody, username, password)
      return { client: clientOf(url, { ca, token: session.token }), userId: session.userId, username }
    },
  }
}
