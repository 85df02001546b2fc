import { startEmbeddedPostgres } from 'koa-server/embedded-postgres'
import pg from 'pg'
import { randomBytes } from 'node:crypto'
import { serviceOf, temporaryFolder, type Service } from './service.ts'

export interface Postgres extends Service {
  readonly url: string
}

/** Starts PostgreSQL 17 with a data folder of its own. `durable` keeps fsync on, for the tests that kill it. */
export async function startPostgres(
  options: { durable?: boolean; settings?: Record<string, string> } = {},
): Promise<Postgres> {
  const folder = await temporaryFolder('postgres')
  const fast = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
  const settings = {
    max_connections: '300',
    shared_buffers: '128MB',
    ...(options.durable ? {} : fast),
    ...options.settings,
  }
  const server = await startEmbeddedPostgres({ directory: folder.path, settings })
  return {
    ...serviceOf(server.process, Number(new URL(server.url).port)),
    url: server.url,
    stop: async () => {
      await server.stop()
      await folder.remove()
    },
  }
}

/** Makes an empty database on the server behind `serverUrl`; a test file drops it when it is done. */
export async function createDatabase(serverUrl: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `t_${randomBytes(6).toString('hex')}`
  await onServer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => onServer(serverUrl, `drop database ${name} with (force)`) }
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
