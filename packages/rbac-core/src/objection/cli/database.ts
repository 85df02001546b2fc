import type { Knex } from 'knex'
import type { UsersTable } from '../users-table.ts'
import { InputError } from './input-error.ts'
import { peer } from './peer.ts'

/** The database a command asks, and the table of its users. */
export interface Target {
  readonly url: string | undefined
  readonly users: UsersTable
}

/** Works on the database, and turns what it refuses into a message without the URL's password. */
export async function withDatabase<T>({ url }: Target, work: (knex: Knex) => Promise<T>): Promise<T> {
  if (url === undefined || url === '') throw new InputError(['no database: give --database or DATABASE_URL'])
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
    throw new InputError(['the database is not a URL such as postgres://user@host:5432/name'])
  }
  const { default: knexOf } = await peer('knex', 'Commands on a database', () => import('knex'))
  await peer('pg', 'Commands on a database', () => import('pg'))
  const knex = knexOf({
    client: 'pg',
    connection: { connectionString: url, connectionTimeoutMillis: 10_000 },
    pool: { min: 0, max: 2 },
    acquireConnectionTimeout: 15_000,
    // What goes wrong is told once, by the caller, and standard output is for answers.
    log: { warn: silent, error: silent, deprecate: silent, debug: silent },
  })
  try {
    await knex.raw('select').catch((cause: unknown) => {
      // A connection that is never answered fails without any code.
      throw refusal(cause, new URL(url))
    })
    return await work(knex)
  } catch (error) {
    throw databaseError(error, new URL(url)) ?? error
  } finally {
    await knex.destroy()
  }
}

const silent = (): void => undefined

function databaseError(error: unknown, url: URL): InputError | undefined {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (code === '42P01') {
    return new InputError(['the database has no RBAC tables, or users have another table: see --users-table'], {
      cause: error,
    })
  }
  // PostgreSQL's own codes have five characters, those of a connection that fails begin with E.
  if (!/^([0-9A-Z]{5}|E[A-Z_]+)$/.test(code)) return undefined
  return refusal(error, url)
}

function refusal(cause: unknown, url: URL): InputError {
  const { message, code = 'no code' } = cause as NodeJS.ErrnoException
  const told = withoutPassword(message || 'no connection', url.password)
  return new InputError([`the database at ${url.host} refused: ${told} (${code})`], { cause })
}

function withoutPassword(message: string, password: string): string {
  if (password === '') return message
  return message.replaceAll(password, '***').replaceAll(decodeURIComponent(password), '***')
}
