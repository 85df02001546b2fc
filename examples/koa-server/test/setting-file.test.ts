import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-settings-'))
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

function file(content: string): string {
  const path = join(folder, 'secret')
  writeFileSync(path, content)
  return path
}

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

test.each(['', '\n', '\r\n'])('a setting is read from the file that is named, whose last line may end with %j', end => {
  const DATABASE_URL_FILE = file(`postgres://register:hunter2@db/register${end}`)
  expect(readConfig({ DATABASE_URL_FILE }).databaseUrl).toBe('postgres://register:hunter2@db/register')
})

test('what a file holds is checked like any setting, and not repeated', () => {
  const problems = problemsOf({ DATABASE_URL_FILE: file('mysql://register:hunter2@db/register') })
  expect(problems).toEqual(['DATABASE_URL: expected postgres://user:password@host:port/database'])
})

test('a setting that is given twice is refused, since nobody could tell which one counts', () => {
  const env = { ADMIN_PASSWORD: 'a password of some length', ADMIN_PASSWORD_FILE: file('another one of some length') }
  expect(problemsOf(env)).toEqual(['ADMIN_PASSWORD: expected ADMIN_PASSWORD or ADMIN_PASSWORD_FILE, not both'])
})

test.each([
  [() => join(folder, 'absent'), 'AMQP_URL_FILE: expected the path of a file that this process may read'],
  [() => folder, 'AMQP_URL_FILE: expected the path of a file that this process may read'],
  [() => file('\n'), 'AMQP_URL_FILE: expected a file that is not empty'],
])('a file that gives no setting is named (%#)', (path, problem) => {
  expect(problemsOf({ AMQP_URL_FILE: path() })).toEqual([problem])
})

test('production takes a file for a setting that it requires', () => {
  const env = { NODE_ENV: 'production', PORT: '3000', MEMCACHED_SERVERS: 'memcached:11211' }
  expect(problemsOf(env)).toHaveLength(2)
  const DATABASE_URL_FILE = file('postgres://register:x@db/register')
  expect(problemsOf({ ...env, DATABASE_URL_FILE, AMQP_URL: 'amqp://register:x@rabbitmq/' })).toEqual([])
})
