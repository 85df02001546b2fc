// What a user writes: compiled, with declarations, against the packed packages in an empty project.
import { createAuditLog } from '@countersign/audit-log'
import { koaAudit } from '@countersign/audit-log/koa'
import { audited, postgresAuditStore } from '@countersign/audit-log/objection'
import { createCaches } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import { memoryStore } from '@countersign/cache-adapter/memory'
import { backoff, createQueue, defineTask } from '@countersign/queue-adapter'
import { jsonSchema } from '@countersign/queue-adapter/ajv'
import { memoryTransport } from '@countersign/queue-adapter/memory'
import { createOutbox } from '@countersign/queue-adapter/postgres'
import { rabbitmqTransport } from '@countersign/queue-adapter/rabbitmq'
import { createGuards, definePermissions, definePolicy, type PermissionName } from '@countersign/rbac-core'
import { koaAccess, koaGuards } from '@countersign/rbac-core/koa'
import { createRoleAdmin, objectionGrantStore } from '@countersign/rbac-core/objection'
import { postgresChanges } from '@countersign/rbac-core/postgres'
import createKnex from 'knex'
import { Model } from 'objection'

export const permissions = definePermissions({ document: ['read', 'update'], user: ['manage'] })
export type Permission = PermissionName<typeof permissions>
export const policy = definePolicy(permissions, {
  roles: { viewer: { permissions: ['document:read'] }, editor: { inherits: ['viewer'], permissions: ['document:*'] } },
})
// @ts-expect-error a misspelt permission
definePolicy(permissions, { roles: { viewer: { permissions: ['documnet:read'] } } })

export const guards = createGuards(permissions)
export class Documents {
  @guards.requirePermission('document:update')
  rename(id: string, title: string): { id: string; title: string } {
    return { id, title }
  }
}
export const read = guards.requirePermission('document:read').wrap(async (id: string) => id)
export const { requirePermission, requireRole } = koaGuards(permissions)

export const knex = createKnex({ client: 'pg' })
export const grants = objectionGrantStore({ knex })
export const roles = createRoleAdmin({ knex, permissions })
export const changes = postgresChanges({ connectionString: 'postgres://127.0.0.1/app' })
export const access = koaAccess

export const caches = createCaches({ store: memoryStore(), prefix: 'app', schemaVersion: 1 })
export const people = caches.namespace<{ name: string }>('people')
export const remote = memcachedStore({ servers: ['127.0.0.1:11211'] })

export const schema = jsonSchema<{ userId: string }>({
  type: 'object',
  properties: { userId: { type: 'string' } },
  required: ['userId'],
})
export const invite = defineTask({
  name: 'invite.send',
  schema,
  retry: backoff({ attempts: 5, firstMs: 1000, factor: 4 }),
  timeoutMs: 30_000,
})
export const queue = createQueue({ transport: memoryTransport() })
export const broker = rabbitmqTransport({ url: 'amqp://127.0.0.1' })
export const outbox = createOutbox({ knex })

export const audit = createAuditLog({ store: postgresAuditStore({ knex }), sinks: [], source: 'documents' })
export const middleware = koaAudit({ audit })
export class Document extends audited(Model) {
  static override tableName = 'documents'
}
