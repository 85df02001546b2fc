import { createAuditLog, type AuditLog } from '@countersign/audit-log'
import { carryAuditContext, postgresAuditStore } from '@countersign/audit-log/objection'
import { createCaches, createSessions, type Sessions } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import { memoryStore } from '@countersign/cache-adapter/memory'
import { postgresSessionStore } from '@countersign/cache-adapter/postgres'
import { createQueue, QueueError, type Queue } from '@countersign/queue-adapter'
import { memoryTransport } from '@countersign/queue-adapter/memory'
import { createOutbox, type Outbox } from '@countersign/queue-adapter/postgres'
import { rabbitmqTransport } from '@countersign/queue-adapter/rabbitmq'
import { createAuthorizer, type Authorizer } from '@countersign/rbac-core'
import { createRoleAdmin, objectionGrantStore, type RoleAdmin } from '@countersign/rbac-core/objection'
import { postgresChanges } from '@countersign/rbac-core/postgres'
import createKnex, { type Knex } from 'knex'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { ConfigError, type Config } from './config.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { migrate } from './migrations.ts'
import { permissions } from './permissions.ts'
import { seed, type FirstAdministrator } from './seed.ts'

/** Everything that a request or a task needs. */
export interface System {
  readonly config: Config
  readonly log: Logger
  readonly knex: Knex
  readonly sessions: Sessions
  readonly queue: Queue
  readonly outbox: Outbox
  readonly authorizer: Authorizer
  readonly roles: RoleAdmin
  readonly audit: AuditLog
  /** Set while the process stops. */
  readonly lifecycle: { draining: boolean }
  /** Set in the process that made the first administrator. */
  readonly firstAdministrator: FirstAdministrator | undefined
}

/** Opens the parts in the order they need each other; `resources` closes them in the reverse order. */
export async function openSystem(
  config: Config,
  log: Logger,
  resources: AsyncDisposableStack,
  onProgress: (step: string) => void,
): Promise<System> {
  let { databaseUrl, listenUrl } = config
  if (databaseUrl === undefined) {
    const postgres = await startEmbeddedPostgres({ directory: join(config.dataDirectory, 'postgres'), onProgress })
    resources.defer(() => postgres.stop())
    databaseUrl = listenUrl = postgres.url
  }

  const knex = carryAuditContext(
    createKnex({
      client: 'pg',
      connection: { connectionString: databaseUrl, connectionTimeoutMillis: 5000, statement_timeout: 30_000 },
      pool: { min: 0, max: 10, acquireTimeoutMillis: 5000 },
    }),
  )
  resources.defer(() => knex.destroy())
  await requireDatabase(knex)
  await migrate(knex, onProgress)

  const audit = createAuditLog({ store: postgresAuditStore({ knex }), sinks: [], source: 'register' })
  resources.defer(() => audit.close())
  const roles = createRoleAdmin({ knex, permissions, administrativePermission: 'user:manage' })
  const firstAdministrator = await audit.run({ actor: { id: 'seed', type: 'service' } }, () =>
    seed(knex, roles, config.adminPassword),
  )

  const { memcachedServers } = config
  const store = memcachedServers.length > 0 ? memcachedStore({ servers: memcachedServers }) : memoryStore()
  const caches = createCaches({ store, prefix: 'register', schemaVersion: 1 })
  resources.defer(() => caches.close())
  const sessions = createSessions({ store: postgresSessionStore({ knex }), caches })

  const authorizer = createAuthorizer({
    permissions,
    store: objectionGrantStore({ knex }),
    cache: caches.namespace('grants'),
    changes: postgresChanges({ connectionString: listenUrl ?? databaseUrl }),
    maxStalenessMs: config.maxStalenessMs,
  })
  resources.defer(() => authorizer.close())

  const transport = config.amqpUrl === undefined ? memoryTransport() : rabbitmqTransport({ url: config.amqpUrl })
  const queue = createQueue({ transport, carrier: audit.carrier })
  resources.defer(async () => {
    await queue.close()
  })
  await requireBroker(queue, log)
  const outbox = createOutbox({ knex, carrier: audit.carrier })
  const relay = outbox.relay(queue)
  resources.defer(() => relay.stop())

  return {
    config,
    log,
    knex,
    sessions,
    queue,
    outbox,
    authorizer,
    roles,
    audit,
    lifecycle: { draining: false },
    firstAdministrator,
  }
}

async function requireDatabase(knex: Knex): Promise<void> {
  try {
    await knex.raw('select 1')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer'
    if (code.startsWith('28'))
      throw new ConfigError(['DATABASE_URL: expected a user and a password that PostgreSQL accepts'])
    if (code === '3D000') throw new ConfigError(['DATABASE_URL: expected the name of a database that exists'])
    throw new ConfigError([`DATABASE_URL: expected a PostgreSQL that answers; got ${code}`])
  }
}

/** A broker that is down is waited for while requests are served; one that refuses us will not change its mind. */
async function requireBroker(queue: Queue, log: Logger): Promise<void> {
  try {
    await queue.ready({ timeoutMs: 3000 })
  } catch (error) {
    if (QueueError.isInstance(error) && error.code === 'BROKER_REFUSED') {
      throw new ConfigError(['AMQP_URL: expected a user, a password and a virtual host that RabbitMQ accepts'])
    }
    log.warn({ err: error }, 'RabbitMQ does not answer; announcements wait in the outbox')
  }
}
