import { Ajv, type ErrorObject } from 'ajv'
import { join, resolve } from 'node:path'
import { readSetting } from './setting-file.ts'

/** The settings of one process, all from the environment. */
export interface Config {
  readonly environment: 'development' | 'test' | 'production'
  /** Without it the server runs an embedded PostgreSQL. */
  readonly databaseUrl: string | undefined
  /** Where LISTEN connects; a pooler in transaction mode cannot carry it. */
  readonly listenUrl: string | undefined
  readonly memcachedServers: readonly string[]
  readonly amqpUrl: string | undefined
  readonly host: string
  /** Without it 3000 is tried first, then any free port. */
  readonly port: number | undefined
  readonly logLevel: string
  /** Also does the worker's tasks in this process. */
  readonly runWorker: boolean
  /** Takes the client's address from the proxy in front. */
  readonly trustProxy: boolean
  /** Longest time in milliseconds that open connections are waited for when the server stops. */
  readonly drainMs: number
  /** Folder for what this process keeps: the embedded database, the announcements. */
  readonly dataDirectory: string
  /** Where the worker appends what it was told, one JSON value a line. */
  readonly eventsFile: string
  /** Longest time in milliseconds that a revoked right may still be honoured. */
  readonly maxStalenessMs: number
  /** The first administrator's password; without it a random one is made and printed once. */
  readonly adminPassword: string | undefined
}

/** Thrown with one line for each variable that is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'CONFIG_INVALID'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

const url = (schemes: string): object => ({ type: 'string', pattern: `^(${schemes})://[^\\s/]+` })

/** Each variable's form, and the words for what was expected; values are never repeated, they may be secrets. */
const variables = {
  NODE_ENV: { schema: { enum: ['development', 'test', 'production'] }, expected: 'development, test or production' },
  DATABASE_URL: { schema: url('postgres|postgresql'), expected: 'postgres://user:password@host:port/database' },
  DATABASE_LISTEN_URL: { schema: url('postgres|postgresql'), expected: 'postgres://user:password@host:port/database' },
  MEMCACHED_SERVERS: {
    schema: { type: 'string', pattern: '^[A-Za-z0-9_.-]+:[0-9]{1,5}(,[A-Za-z0-9_.-]+:[0-9]{1,5})*$' },
    expected: 'host:port, several separated by commas',
  },
  AMQP_URL: { schema: url('amqp|amqps'), expected: 'amqp://user:password@host:port/vhost' },
  HOST: { schema: { type: 'string', pattern: '^[A-Za-z0-9_.:-]+$' }, expected: 'an address to listen on' },
  PORT: { schema: { type: 'string', pattern: '^[0-9]{1,5}$' }, expected: 'a number from 1 to 65535' },
  LOG_LEVEL: {
    schema: { enum: ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] },
    expected: 'fatal, error, warn, info, debug or silent',
  },
  RUN_WORKER: { schema: { enum: ['true', 'false'] }, expected: 'true or false' },
  TRUST_PROXY: { schema: { enum: ['true', 'false'] }, expected: 'true or false' },
  DRAIN_MS: { schema: { type: 'string', pattern: '^[0-9]{1,6}$' }, expected: 'milliseconds, from 0 to 999999' },
  DATA_DIRECTORY: { schema: { type: 'string', minLength: 1 }, expected: 'the path of a folder' },
  EVENTS_FILE: { schema: { type: 'string', minLength: 1 }, expected: 'the path of a file' },
  MAX_STALENESS_MS: {
    schema: { type: 'string', pattern: '^[1-9][0-9]{2,6}$' },
    expected: 'milliseconds, from 100 to 9999999',
  },
  ADMIN_PASSWORD: { schema: { type: 'string', minLength: 15, maxLength: 200 }, expected: '15 to 200 characters' },
} as const

type Variable = keyof typeof variables

const validate = new Ajv({ allErrors: true, strict: true }).compile({
  type: 'object',
  properties: Object.fromEntries(Object.entries(variables).map(([name, { schema }]) => [name, schema])),
})

/**
 * Reads the settings from the environment, each from its variable or from the file that `<NAME>_FILE` names; an empty
 * variable counts as not set.
 *
 * @throws ConfigError `CONFIG_INVALID` that names every variable that is wrong and what was expected.
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const names = Object.keys(variables) as Variable[]
  const given: Partial<Record<Variable, string>> = {}
  const problems = new Set<string>()
  for (const name of names) {
    try {
      const value = readSetting(env, name)
      if (value !== undefined) given[name] = value
    } catch (error) {
      problems.add((error as Error).message)
    }
  }
  if (!validate(given)) for (const error of validate.errors ?? []) problems.add(describe(error))
  if (given.PORT && (Number(given.PORT) < 1 || Number(given.PORT) > 65_535)) problems.add(line('PORT'))
  for (const name of ['DATABASE_URL', 'DATABASE_LISTEN_URL', 'AMQP_URL'] as const) {
    if (given[name] && !URL.canParse(given[name])) problems.add(line(name))
  }
  const ports = given.MEMCACHED_SERVERS?.split(',').map(server => Number(server.split(':')[1])) ?? []
  if (ports.some(port => port < 1 || port > 65_535)) problems.add(line('MEMCACHED_SERVERS'))
  if (given.NODE_ENV === 'production') {
    for (const name of ['DATABASE_URL', 'MEMCACHED_SERVERS', 'AMQP_URL', 'PORT'] as const) {
      if (!given[name]) problems.add(`${line(name)} (required when NODE_ENV is production)`)
    }
  }
  if (problems.size > 0) throw new ConfigError([...problems])

  const dataDirectory = resolve(given.DATA_DIRECTORY ?? '.data')
  return {
    environment: (given.NODE_ENV ?? 'development') as Config['environment'],
    databaseUrl: given.DATABASE_URL,
    listenUrl: given.DATABASE_LISTEN_URL ?? given.DATABASE_URL,
    memcachedServers: given.MEMCACHED_SERVERS?.split(',') ?? [],
    amqpUrl: given.AMQP_URL,
    host: given.HOST ?? '127.0.0.1',
    port: given.PORT ? Number(given.PORT) : undefined,
    logLevel: given.LOG_LEVEL ?? 'info',
    runWorker: given.RUN_WORKER ? given.RUN_WORKER === 'true' : given.AMQP_URL === undefined,
    trustProxy: given.TRUST_PROXY === 'true',
    drainMs: Number(given.DRAIN_MS ?? (given.NODE_ENV === 'production' ? 10_000 : 0)),
    dataDirectory,
    eventsFile: given.EVENTS_FILE ?? join(dataDirectory, 'events.jsonl'),
    maxStalenessMs: Number(given.MAX_STALENESS_MS ?? 5000),
    adminPassword: given.ADMIN_PASSWORD,
  }
}

function describe(error: ErrorObject): string {
  const name = error.instancePath.slice(1)
  return name in variables ? line(name as Variable) : `${name}: ${error.message}`
}

function line(name: Variable): string {
  return `${name}: expected ${variables[name].expected}`
}
