import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, startService, temporaryFolder } from './service.ts'

const run = promisify(execFile)
const configuration = join(import.meta.dirname, '../../nginx')

export interface Nginx {
  /** https://localhost:port, with a certificate signed by `ca`. */
  readonly url: string
  readonly plainUrl: string
  readonly ca: string
  /** What it wrote of each request so far. */
  accessLog(): { upstream: string; status: number }[]
  /** What it complained of so far. */
  errorLog(): string
  stop(): Promise<void>
}

/** Runs the repository's nginx configuration with an environment of the test's own: ports, certificate, upstreams. */
export async function startNginx(upstreamPorts: readonly number[]): Promise<Nginx> {
  const folder = await temporaryFolder('nginx')
  await cp(configuration, folder.path, { recursive: true })
  await mkdir(join(folder.path, 'run'))
  const port = await freePort()
  const plainPort = await freePort()
  const certificate = join(folder.path, 'certificate.pem')
  const key = join(folder.path, 'key.pem')
  const accessLog = join(folder.path, 'access.log')
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
  ])

  const servers = upstreamPorts.map(upstream => `  server 127.0.0.1:${upstream} max_fails=3 fail_timeout=1s;`)
  const environment: Record<string, string> = {
    'upstreams.conf': [
      'upstream app {',
      '  zone app 64k;',
      '  least_conn;',
      ...servers,
      '  keepalive 64;',
      '  keepalive_timeout 5s;',
      '}',
    ].join('\n'),
    'access-log.conf': `access_log ${accessLog} json;\nerror_log error.log warn;`,
    'limits.conf': [
      'limit_req_zone $binary_remote_addr zone=client:1m rate=100000r/s;',
      'limit_req_zone $binary_remote_addr zone=sign_in:1m rate=10r/s;',
    ].join('\n'),
    'listen.conf': `listen 127.0.0.1:${port} ssl http2;\nserver_name localhost;`,
    'listen-default.conf': `listen 127.0.0.1:${port} ssl http2 default_server;\nlisten 127.0.0.1:${plainPort} default_server;\nserver_name _;`,
    'listen-plain.conf': `listen 127.0.0.1:${plainPort};\nserver_name localhost;`,
    'certificate.conf': `ssl_certificate ${certificate};\nssl_certificate_key ${key};`,
  }
  for (const [name, text] of Object.entries(environment))
    await writeFile(join(folder.path, 'environment', name), `${text}\n`)

  const service = await startService(
    '/usr/sbin/nginx',
    ['-p', folder.path, '-c', 'nginx.conf', '-g', 'daemon off;'],
    port,
    'SIGQUIT',
  )
  return {
    url: `https://localhost:${port}`,
    plainUrl: `http://localhost:${plainPort}`,
    ca: await readFile(certificate, 'utf8'),
    accessLog: () => {
      const lines = readFileSync(accessLog, 'utf8').split('\n').filter(Boolean)
      return lines.map(line => JSON.parse(line) as { upstream: string; status: number })
    },
    errorLog: () => readFileSync(join(folder.path, 'error.log'), 'utf8'),
    stop: async () => {
      await service.stop()
      await folder.remove()
    },
  }
}
