import type { Knex } from 'knex'
import type { PermissionCatalog } from '../catalog.ts'
import { write, type TransactionOptions } from './write.ts'

/** What `syncCatalog` found. */
export interface CatalogSync {
  /** The names whose rows it added. */
  readonly added: readonly string[]
  /** The drift: rows that the code does not know. They are kept, and grant nothing. */
  readonly unknown: readonly string[]
}

/**
 * Adds a row for every permission of the catalog and for its wildcards, and reports rows that the code does not know.
 *
 * It never deletes or changes a row, and can run in several processes at once. Wildcards become system rows.
 *
 * @param knex - a Knex instance over `pg`, after `migrations`.
 * @param permissions - the catalog of the running code.
 *
 * @example
 * ```ts
 * import { definePermissions } from '@countersign/rbac-core'
 * import { syncCatalog } from '@countersign/rbac-core/objection'
 * import knexOf from 'knex'
 *
 * const knex = knexOf({ client: 'pg', connection: process.env.DATABASE_URL ?? '' })
 * const { unknown } = await syncCatalog(knex, definePermissions({ document: ['read'] }))
 * if (unknown.length > 0) throw new Error(`Permissions the code does not know: ${unknown.join(', ')}`)
 * ```
 */
export async function syncCatalog(
  knex: Knex,
  permissions: PermissionCatalog,
  options?: TransactionOptions,
): Promise<CatalogSync> {
  const rows = catalogRows(permissions.names)
  const known = rows.map(row => row.name)
  let added: string[] = []
  await write(knex, options, async transaction => {
    const inserted = await transaction.raw<{ rows: { name: string }[] }>(
      `insert into permissions (name, resource, action, is_system)
       select * from json_to_recordset(?) as row (name text, resource text, action text, is_system boolean)
       on conflict (name) do nothing returning name`,
      [JSON.stringify(rows)],
    )
    added = inserted.rows.map(row => row.name)
  })
  const unknown = await (options?.transaction ?? knex)('permissions')
    .whereRaw('name <> all(?)', [known])
    .orderBy('name')
    .pluck<string[]>('name')
  return { added, unknown }
}

interface PermissionRow {
  name: string
  resource: string
  action: string
  is_system: boolean
}

function catalogRows(names: readonly string[]): PermissionRow[] {
  const permissions = names.map(name => {
    const colon = name.indexOf(':')
    return { name, resource: name.slice(0, colon), action: name.slice(colon + 1), is_system: false }
  })
  const resources = new Set(permissions.map(row => row.resource))
  return [
    { name: '*', resource: '*', action: '*', is_system: true },
    ...[...resources].map(resource => ({ name: `${resource}:*`, resource, action: '*', is_system: true })),
    ...permissions,
  ]
}
