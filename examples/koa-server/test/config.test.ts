import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

test('without any variable the parts are embedded and the worker runs along', () => {
  expect(readConfig({})).toMatchObject({
    databaseUrl: undefined,
    memcachedServers: [],
    amqpUrl: undefined,
    port: undefined,
    runWorker: true,
    trustProxy: false,
  })
})

test('an empty variable counts as not set', () => {
  expect(readConfig({ DATABASE_URL: '', PORT: '' })).toMatchObject({ databaseUrl: undefined, port: undefined })
})

test('LISTEN goes to the database itself unless it is told another way', () => {
  const DATABASE_URL = 'postgres://pooler/app'
  expect(readConfig({ DATABASE_URL }).listenUrl).toBe(DATABASE_URL)
  expect(readConfig({ DATABASE_URL, DATABASE_LISTEN_URL: 'postgres://direct/app' }).listenUrl).toBe(
    'postgres://direct/app',
  )
})

test.each([
  ['DATABASE_URL', 'mysql://localhost/x'],
  ['DATABASE_URL', 'postgres://'],
  ['DATABASE_URL', 'postgres://host:port/x'],
  ['MEMCACHED_SERVERS', 'localhost'],
  ['MEMCACHED_SERVERS', 'localhost:11211,'],
  ['MEMCACHED_SERVERS', 'localhost:0'],
  ['MEMCACHED_SERVERS', 'localhost:65536'],
  ['AMQP_URL', 'localhost:5672'],
  ['PORT', '0'],
  ['PORT', '65536'],
  ['PORT', '80a'],
  ['NODE_ENV', 'staging'],
  ['RUN_WORKER', 'yes'],
  ['MAX_STALENESS_MS', '0'],
  ['ADMIN_PASSWORD', 'too short'],
])('%s=%s is refused by its name and what was expected', (name, value) => {
  const problems = problemsOf({ [name]: value })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(new RegExp(`^${name}: expected `))
})

describe('in production', () => {
  test('nothing is embedded: each part must be named', () => {
    expect(problemsOf({ NODE_ENV: 'production' }).map(problem => problem.split(':')[0])).toEqual([
      'DATABASE_URL',
      'MEMCACHED_SERVERS',
      'AMQP_URL',
      'PORT',
    ])
  })
})

test('all problems are told at once, and no value with them', () => {
  const problems = problemsOf({ DATABASE_URL: 'mysql://u:hunter2@h/x', AMQP_URL: 'http://u:hunter2@h', PORT: 'x' })
  expect(problems).toHaveLength(3)
  expect(problems.join('\n')).not.toContain('hunter2')
})
