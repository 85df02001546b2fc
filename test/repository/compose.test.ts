import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '../../examples/koa-server/src/config.ts'
import { root } from './workspace.ts'

interface Service {
  profiles?: string[]
  image?: string
  build?: { dockerfile: string; target: string }
  user?: string
  init?: boolean
  read_only?: boolean
  restart?: string
  privileged?: boolean
  cap_add?: string[]
  cap_drop?: string[]
  security_opt?: string[]
  command?: string[]
  environment?: Record<string, string>
  secrets?: (string | { source: string; target: string })[]
  ports?: string[]
  networks?: string[]
  network_mode?: string
  volumes?: string[]
  tmpfs?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[]; start_period?: string }
  logging?: { options: Record<string, string> }
  stop_grace_period?: string
  develop?: { watch: { action: string; path: string }[] }
  deploy?: { replicas?: number; resources?: { limits?: Record<string, unknown> } }
}
interface Compose {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean } | null>
  volumes: Record<string, unknown>
  secrets: Record<string, { file?: string }>
}

const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), {
  merge: true,
  maxAliasCount: 1000,
}) as Compose
const all = Object.entries(compose.services)
const inProfile = (profile: string): [string, Service][] =>
  all.filter(([, { profiles }]) => profiles?.includes(profile))
const production = inProfile('prod')

/** The longest time that a stopping server waits for requests being answered, and for handlers of tasks. */
const [answeringSeconds, tasksSeconds] = [30, 10]

function seconds(duration = ''): number {
  const [, number = '', unit = ''] = /^(\d+)(s|m)$/.exec(duration) ?? []
  return Number(number) * (unit === 'm' ? 60 : 1)
}

test('dclint, which knows the compose specification, finds no error', async () => {
  const dclint = join(root, 'node_modules/.bin/dclint')
  await promisify(execFile)(dclint, ['docker-compose.yml', '--quiet', '--color=false'], { cwd: root })
})

describe.each(all)('%s', (name, service) => {
  test('belongs to one profile, and needs healthy services of the same', () => {
    expect(service.profiles).toHaveLength(1)
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(condition).toBe('service_healthy')
      expect(compose.services[needed]?.profiles, needed).toEqual(service.profiles)
    }
  })

  test('runs an image that is pinned by digest, or built here', () => {
    if (service.build) expect(service.build.dockerfile).toBe('examples/koa-server/Dockerfile')
    else if (service.image !== '${COUNTERSIGN_IMAGE:-countersign:local}')
      expect(service.image).toMatch(/^[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}$/)
  })

  test('has no privilege to lose, and limits', () => {
    expect(service).toMatchObject({ init: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    expect(service.cap_add).toBeUndefined()
    expect(service.privileged).toBeUndefined()
    expect(service.network_mode).toBeUndefined()
    expect(Object.keys(service.deploy?.resources?.limits ?? {}).sort()).toEqual(['cpus', 'memory', 'pids'])
    expect(service.logging?.options).toHaveProperty('max-size')
    expect(JSON.stringify(service.volumes ?? [])).not.toContain('docker.sock')
  })

  test('tells whether it is healthy', () => {
    expect(service.healthcheck?.test[0]).toMatch(/^CMD(-SHELL)?$/)
    expect(service.healthcheck?.test.join(' ')).not.toMatch(/\b(curl|wget)\b/)
  })

  test('mounts files that exist, read-only', () => {
    for (const volume of service.volumes ?? []) {
      const [source = '', , mode] = volume.split(':')
      if (!source.startsWith('.')) {
        expect(compose.volumes).toHaveProperty(source)
        continue
      }
      expect(existsSync(join(root, source)), source).toBe(true)
      expect(mode).toBe('ro')
    }
  })
})

describe('in production', () => {
  test('only nginx is reached from outside', () => {
    expect(production.filter(([, { ports }]) => ports).map(([name]) => name)).toEqual(['nginx'])
  })

  test('nothing but nginx has a way out, and nginx none to the data', () => {
    const open = Object.entries(compose.networks).filter(([, network]) => !network?.internal)
    expect(open.map(([name]) => name).sort()).toEqual(['dev', 'dmz', 'test'])
    expect(production.filter(([, { networks }]) => networks?.includes('dmz')).map(([name]) => name)).toEqual(['nginx'])
    for (const [name, { networks = [] }] of production) {
      expect(networks.length, name).toBeGreaterThan(0)
      for (const network of networks) expect(['dmz', 'app', 'data'], name).toContain(network)
    }
    expect(compose.services.nginx?.networks).toEqual(['dmz', 'app'])
    for (const name of ['postgres', 'postgres-replica', 'memcached', 'rabbitmq', 'worker'])
      expect(compose.services[name]?.networks, name).toEqual(['data'])
  })

  test.each(production)('%s is no root, writes to no image and comes back after a failure', (_name, service) => {
    expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(service.read_only).toBe(true)
    expect(service.restart).toBe('unless-stopped')
  })

  test.each(production)('%s gets its secrets as files', (_name, { environment = {}, secrets = [], command = [] }) => {
    for (const variable of Object.keys(environment))
      if (/PASSWORD|SECRET|TOKEN|KEY|_URL|CREDENTIAL/.test(variable)) expect(variable).toMatch(/_FILE$/)
    expect(JSON.stringify([environment, command])).not.toMatch(/:\/\/[^/\s"]*:[^/\s"]*@|password=/i)
    for (const secret of secrets) {
      const name = typeof secret === 'string' ? secret : secret.source
      expect(compose.secrets[name]?.file, name).toContain(`/${name}`)
    }
    for (const [variable, path] of Object.entries(environment))
      if (variable.endsWith('_FILE') && path.startsWith('/run/secrets/'))
        expect(secrets, variable).toContain(path.slice('/run/secrets/'.length))
  })

  test('every secret is somebody’s', () => {
    const used = production.flatMap(([, { secrets = [] }]) =>
      secrets.map(secret => (typeof secret === 'string' ? secret : secret.source)),
    )
    expect([...new Set(used)].sort()).toEqual(Object.keys(compose.secrets).sort())
  })

  test('two equal instances stand behind nginx, by the names that its configuration uses', () => {
    const upstreams = readFileSync(join(root, 'nginx/environment/upstreams.conf'), 'utf8')
    const named = [...upstreams.matchAll(/^\s*server ([\w-]+):3000 /gm)].map(match => match[1] ?? '')
    expect(named).toEqual(['app-1', 'app-2'])
    expect(compose.services['app-1']).toEqual(compose.services['app-2'])
    expect(Object.keys(compose.services.nginx?.depends_on ?? {})).toEqual(named)
    expect(compose.services.worker?.deploy?.replicas).toBeGreaterThanOrEqual(2)
    const certificate = readFileSync(join(root, 'nginx/environment/certificate.conf'), 'utf8')
    for (const secret of compose.services.nginx?.secrets ?? [])
      expect(certificate).toContain(`/run/secrets/${secret as string};`)
  })

  test('the server accepts the settings that it is given', () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-compose-'))
    try {
      const contents: Record<string, string> = {
        admin_password: 'correct horse battery staple',
        amqp_url: 'amqp://register:x@rabbitmq:5672',
        database_url: 'postgres://register:x@postgres:5432/register',
      }
      for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), content)
      const given = Object.entries(compose.services['app-1']?.environment ?? {}).map(
        ([name, value]) => [name, value.replace('/run/secrets', folder)] as const,
      )
      const config = readConfig({ NODE_ENV: 'production', PORT: '3000', ...Object.fromEntries(given) })
      expect(config).toMatchObject({
        databaseUrl: contents.database_url,
        amqpUrl: contents.amqp_url,
        adminPassword: contents.admin_password,
        memcachedServers: ['memcached:11211'],
        trustProxy: true,
        runWorker: false,
      })
      expect(seconds(compose.services['app-1']?.stop_grace_period)).toBeGreaterThan(
        config.drainMs / 1000 + answeringSeconds + tasksSeconds,
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('what is stored is stored for good, twice', () => {
    const { postgres, 'postgres-replica': replica } = compose.services
    expect(postgres?.volumes).toContain('postgres:/var/lib/postgresql/data')
    expect(replica?.volumes).toContain('postgres-replica:/var/lib/postgresql')
    expect(postgres?.command).toContain('--wal_level=replica')
    for (const [name, service] of production)
      expect(JSON.stringify(service), name).not.toMatch(/fsync|full_page_writes|synchronous_commit/)
    expect(compose.services.rabbitmq?.volumes).toContain('rabbitmq:/var/lib/rabbitmq')
  })
})

describe('in tests', () => {
  test('database and broker keep nothing', () => {
    for (const [name, { volumes }] of inProfile('test')) expect(volumes, name).toBeUndefined()
    const { 'test-postgres': postgres, 'test-rabbitmq': rabbitmq } = compose.services
    expect(postgres?.tmpfs?.join()).toContain('/var/lib/postgresql/data:')
    expect(rabbitmq?.tmpfs?.join()).toContain('/var/lib/rabbitmq:')
    for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes'])
      expect(postgres?.command).toContain(`--${setting}=off`)
  })
})

describe('in development', () => {
  test('the sources are watched, the database can be looked at and mail is caught', () => {
    const { dev, adminer, mailpit } = compose.services
    expect(dev?.develop?.watch.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['./packages', './examples/koa-server/src']),
    )
    for (const { path } of dev?.develop?.watch ?? []) expect(existsSync(join(root, path)), path).toBe(true)
    expect(adminer?.image).toMatch(/^adminer:/)
    expect(mailpit?.image).toMatch(/mailpit:/)
  })

  test('nobody else in the network reaches any of it', () => {
    for (const profile of ['dev', 'test'])
      for (const [name, { ports = [] }] of inProfile(profile))
        for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/)
  })
})
