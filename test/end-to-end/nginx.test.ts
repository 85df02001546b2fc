import Koa from 'koa'
import { execFile } from 'node:child_process'
import type { Server } from 'node:http'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { connect } from 'node:tls'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startNginx, type Nginx } from '../support/nginx.ts'

const run = promisify(execFile)

interface Upstream {
  readonly port: number
  close(): Promise<void>
}

/** An instance that says its name and what it was told. */
async function startUpstream(name: string): Promise<Upstream> {
  const app = new Koa()
  app.silent = true
  app.use(ctx => {
    if (ctx.path === '/fails') throw new Error('the internals')
    if (ctx.path === '/missing') return
    if (ctx.path === '/large') ctx.body = { text: 'x'.repeat(20_000) }
    else ctx.body = { name, headers: ctx.headers }
  })
  const server = await new Promise<Server>(resolve => {
    const listening = app.listen(0, '127.0.0.1', () => {
      resolve(listening)
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  status: number
  /** Each value that a header was sent with. */
  headers: Map<string, string[]>
  body: Buffer
}

let upstreams: [Upstream, Upstream]
let nginx: Nginx
beforeAll(async () => {
  upstreams = [await startUpstream('one'), await startUpstream('two')]
  nginx = await startNginx(upstreams.map(({ port }) => port))
})
afterAll(async () => {
  await nginx.stop()
  await Promise.all(upstreams.map(upstream => upstream.close()))
})

/** One request on a connection of its own, as sent: no header is merged or dropped on the way to the test. */
function send(path: string, options: RequestOptions & { body?: string } = {}, base = nginx.url): Promise<Answer> {
  const { body, ...rest } = options
  const request = base.startsWith('https:') ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const sent = request(`${base}${path}`, { ca: nginx.ca, ...rest }, response => {
      const headers = new Map<string, string[]>()
      for (let at = 0; at < response.rawHeaders.length; at += 2) {
        const name = response.rawHeaders[at]?.toLowerCase() ?? ''
        headers.set(name, [...(headers.get(name) ?? []), response.rawHeaders[at + 1] ?? ''])
      }
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks) })
      })
    })
    // A server that refuses a body closes while we still write; its answer counts, not the broken pipe.
    sent.once('error', reject)
    sent.end(body)
  })
}

const json = ({ body }: Answer): Record<string, unknown> => JSON.parse(body.toString()) as Record<string, unknown>
const toldHeaders = (answer: Answer): Record<string, string> => json(answer).headers as Record<string, string>

/** What `openssl s_client` says of a handshake; an empty cipher is a refusal. */
async function handshake(...args: string[]): Promise<{ protocol: string; cipher: string; output: string }> {
  const { port } = new URL(nginx.url)
  const child = run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...args])
  child.child.stdin?.end()
  const { stdout, stderr } = await child.catch((error: unknown) => error as { stdout: string; stderr: string })
  const [, protocol = '', cipher = ''] = /^New, (\S+), Cipher is (\S+)$/m.exec(stdout) ?? []
  return { protocol, cipher: cipher === '(NONE)' ? '' : cipher, output: stdout + stderr }
}

describe('TLS', () => {
  const known = ['-servername', 'localhost']

  test.each(['-tls1', '-tls1_1'])('refuses %s, even from a client that would take any cipher', async version => {
    expect((await handshake(...known, version, '-cipher', 'ALL:@SECLEVEL=0')).cipher).toBe('')
  })

  test('speaks 1.3, and HTTP/2 where it is asked for', async () => {
    const { protocol, output } = await handshake(...known, '-alpn', 'h2,http/1.1')
    expect(protocol).toBe('TLSv1.3')
    expect(output).toContain('ALPN protocol: h2')
  })

  test.each(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'])(
    'takes %s under 1.2',
    async cipher => {
      expect((await handshake(...known, '-tls1_2', '-cipher', cipher)).cipher).toBe(cipher)
    },
  )

  test('takes no other cipher under 1.2', async () => {
    const { stdout } = await run('openssl', ['ciphers', '-tls1_2', '-s', 'ALL:@SECLEVEL=0'])
    const others = stdout
      .trim()
      .split(':')
      .filter(cipher => !/^ECDHE-ECDSA-(AES128-GCM-SHA256|AES256-GCM-SHA384|CHACHA20-POLY1305)$/.test(cipher))
      .filter(cipher => !cipher.startsWith('TLS_'))
    expect(others.length).toBeGreaterThan(10)
    expect((await handshake(...known, '-tls1_2', '-cipher', `${others.join(':')}:@SECLEVEL=0`)).cipher).toBe('')
  })

  test.each([['-servername', 'evil.example'], ['-noservername']])(
    'gives a client that does not know the name no cipher and no certificate: %s',
    async (...name) => {
      for (const version of ['-tls1_2', '-tls1_3']) {
        const { cipher, output } = await handshake(...name, version)
        expect(cipher).toBe('')
        expect(output).not.toContain('BEGIN CERTIFICATE')
      }
    },
  )
})

describe('headers', () => {
  const once = [
    'strict-transport-security',
    'x-content-type-options',
    'content-security-policy',
    'referrer-policy',
    'cross-origin-opener-policy',
    'cross-origin-resource-policy',
    'permissions-policy',
    'server',
  ]

  /** Each way to an answer, and the status it comes with. */
  const ways: Record<string, [status: number, () => Promise<Answer>]> = {
    'an answer': [200, () => send('/')],
    'a page that the server does not know': [404, () => send('/missing')],
    'a path that nginx keeps to itself': [404, () => send('/.git/config')],
    'a failure inside the server': [500, () => send('/fails')],
    'a body that is too large': [413, () => send('/', { method: 'POST', body: 'x'.repeat(2_000_000) })],
    'a request too many': [429, signInUntilRefused],
    'a page asked for in the clear': [308, () => send('/page', {}, nginx.plainUrl)],
    'a program that speaks in the clear': [403, () => send('/api/v1/documents', {}, nginx.plainUrl)],
  }

  test.each(Object.entries(ways))('are sent once with %s', async (_way, [status, way]) => {
    const answer = await way()
    expect(answer.status).toBe(status)
    for (const name of once) expect(answer.headers.get(name), name).toHaveLength(1)
    expect(answer.headers.get('strict-transport-security')).toEqual(['max-age=63072000; includeSubDomains'])
    expect(answer.headers.get('server')).toEqual(['nginx'])
    expect(answer.headers.has('x-powered-by')).toBe(false)
    expect(answer.body.toString()).not.toMatch(/internals|nginx\/\d/)
  })

  test('are sent once when no instance is left, with a body that says so', async () => {
    const lonely = await startNginx([1])
    try {
      const answer = await send('/', { ca: lonely.ca }, lonely.url)
      expect(answer.status).toBe(502)
      for (const name of once) expect(answer.headers.get(name), name).toHaveLength(1)
      expect(answer.headers.get('content-type')).toEqual(['application/problem+json'])
      expect(json(answer)).toMatchObject({ status: 502, code: 'REFUSED_BY_PROXY' })
    } finally {
      await lonely.stop()
    }
  })
})

async function signInUntilRefused(): Promise<Answer> {
  const answers = await Promise.all(
    Array.from({ length: 60 }, () => send('/api/v1/session', { method: 'POST', body: '{}' })),
  )
  const refused = answers.find(({ status }) => status === 429)
  if (!refused) throw new Error('no sign-in was refused')
  return refused
}

describe('limits', () => {
  test('sign-ins from one address are counted; other requests go on', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => send('/api/v1/session', { method: 'POST', body: '{}' })),
    )
    const passed = answers.filter(({ status }) => status === 200).length
    // The burst that is allowed, and the few that its rate of ten in a second lets through meanwhile.
    expect(passed).toBeGreaterThanOrEqual(1)
    expect(passed).toBeLessThan(40)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBe(60 - passed)
    expect(refused.map(({ headers }) => headers.get('retry-after'))).toEqual(refused.map(() => ['1']))
    expect((await send('/api/v1/documents')).status).toBe(200)
  })

  test('a body of one megabyte passes, one byte more does not', async () => {
    expect((await send('/', { method: 'POST', body: 'x'.repeat(1_048_576) })).status).toBe(200)
    expect((await send('/', { method: 'POST', body: 'x'.repeat(1_048_577) })).status).toBe(413)
  })

  test('headers beyond 32 kB are refused', async () => {
    expect((await send('/', { headers: { 'x-large': 'x'.repeat(40_000) } })).status).toBe(400)
  })

  test.each(['TRACE', 'CONNECT'])('%s is not a method here', async method => {
    expect(await raw(`${method} / HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(/^HTTP\/1\.1 40[05] /)
  })
})

describe('what the instances are told', () => {
  test('the client is the address that nginx saw, whatever the client says of itself', async () => {
    const told = toldHeaders(
      await send('/', {
        headers: {
          'x-forwarded-for': '6.6.6.6',
          'x-forwarded-proto': 'http',
          'x-forwarded-host': 'evil.example',
          forwarded: 'for=6.6.6.6',
          'x-request-id': 'chosen by the client',
        },
      }),
    )
    expect(told).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'localhost',
      host: 'localhost',
    })
    expect(told['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
    expect(told).not.toHaveProperty('forwarded')
  })

  test('a host name that is not ours gets no answer', async () => {
    expect(await raw('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    expect(await raw('GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n')).toBe('')
  })

  test.each([
    ['two lengths', 'Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd'],
    ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a length with a sign', 'Content-Length: +4\r\n\r\nabcd'],
  ])('a request whose end can be read in two ways is refused: %s', async (_what, rest) => {
    expect(await raw(`POST / HTTP/1.1\r\nHost: localhost\r\n${rest}`)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('a request without a host is refused', async () => {
    expect(await raw('GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  })
})

/** Sends the text as it is and returns all that comes back until the server closes or resets the connection. */
function raw(text: string): Promise<string> {
  const { port } = new URL(nginx.url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), servername: 'localhost', ca: nginx.ca }, () => {
      socket.write(text)
    })
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
    socket.once('end', () => {
      socket.end()
      resolve(answer)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') resolve(answer)
      else reject(error)
    })
  })
}

describe('answers', () => {
  test('JSON is compressed for who takes it, and caches are told that it varies', async () => {
    const compressed = await send('/large', { headers: { 'accept-encoding': 'gzip' } })
    expect(compressed.headers.get('content-encoding')).toEqual(['gzip'])
    expect(compressed.headers.get('vary')?.join()).toContain('Accept-Encoding')
    expect(compressed.body.length).toBeLessThan(500)
    expect(JSON.parse(gunzipSync(compressed.body).toString())).toEqual({ text: 'x'.repeat(20_000) })
    const plain = await send('/large')
    expect(plain.headers.has('content-encoding')).toBe(false)
  })

  test.each(['/.git/config', '/.env', '/nested/.htpasswd', '/livez', '/readyz', '/metrics'])(
    '%s does not exist outside',
    async path => {
      const answer = await send(path)
      expect(answer.status).toBe(404)
      expect(answer.body.toString()).not.toContain('"name"')
    },
  )

  test('a page asked for in the clear is led to the same page over TLS', async () => {
    const { headers } = await send('/documents?page=2', {}, nginx.plainUrl)
    expect(headers.get('location')).toEqual(['https://localhost/documents?page=2'])
  })
})

describe('the instances', () => {
  async function names(count: number): Promise<string[]> {
    const answers = await Promise.all(Array.from({ length: count }, () => send('/')))
    expect(answers.map(({ status }) => status)).toEqual(Array(count).fill(200))
    return answers.map(answer => json(answer).name as string)
  }

  test('share the requests', async () => {
    const asked = await names(100)
    for (const name of ['one', 'two']) expect(asked.filter(answered => answered === name).length).toBeGreaterThan(20)
  })

  test('stand in for each other: with one gone every request is answered by the other, and it is used again when back', async () => {
    const [first] = upstreams
    await first.close()
    expect(new Set(await names(50))).toEqual(new Set(['two']))

    const back = new Koa().use(ctx => {
      ctx.body = { name: 'one', headers: ctx.headers }
    })
    const server = back.listen(first.port, '127.0.0.1')
    upstreams[0] = { port: first.port, close: () => new Promise(resolve => server.close(() => resolve())) }
    await expect.poll(async () => new Set(await names(20)), { timeout: 10_000 }).toEqual(new Set(['one', 'two']))
    server.closeAllConnections()
  })
})
