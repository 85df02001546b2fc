import type { Knex } from 'knex'
import type {
  AssignmentRecord,
  GrantStore,
  GrantVersion,
  PolicyRecord,
  RoleRecord,
  SeparationRule,
  SubjectRecord,
} from '../grant-store.ts'
import { holdersOf } from './holders.ts'
import { flagOf, isUnreadableKey, resolveUsers, type ResolvedUsersTable, type Users } from './users-table.ts'

/**
 * Reads roles and assignments from PostgreSQL, one statement and so one snapshot a method.
 *
 * @param options.knex - a Knex instance over `pg`.
 * @param options.users - the same value that `migrations` was given. @defaultValue `true`
 *
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions } from '@countersign/rbac-core'
 * import { objectionGrantStore } from '@countersign/rbac-core/objection'
 * import knexOf from 'knex'
 *
 * const knex = knexOf({ client: 'pg', connection: process.env.DATABASE_URL ?? '' })
 * const permissions = definePermissions({ document: ['read'] })
 * const authorizer = createAuthorizer({ permissions, store: objectionGrantStore({ knex }), maxStalenessMs: 30_000 })
 * ```
 */
export function objectionGrantStore(options: { knex: Knex; users?: Users | undefined }): GrantStore {
  const { knex } = options
  const users = resolveUsers(options.users)
  const subjectQuery = selectSubject(users)
  return {
    async loadPolicy() {
      const row = await onlyRow<PolicyRow>(knex, selectPolicy)
      return { ...row, version: Number(row.version) } satisfies PolicyRecord
    },

    async loadSubject(id) {
      const { rows } = await knex
        .raw<{ rows: SubjectRow[] }>(subjectQuery.sql, subjectQuery.bindings(id))
        .catch((error: unknown) => {
          if (isUnreadableKey(error)) return { rows: [] }
          throw error
        })
      const [row] = rows
      return row && ({ ...row, version: Number(row.version) } satisfies SubjectRecord)
    },

    async loadVersion() {
      const { version } = await onlyRow<{ version: string }>(knex, 'select version from rbac_version')
      return Number(version) satisfies GrantVersion
    },

    async loadHolders(permissions, { scope, limit }) {
      const where = scope === undefined ? 'everywhere' : { scope }
      return (await holdersOf(knex, users, permissions, { where, limit })).map(({ userId }) => userId)
    },
  }
}

interface PolicyRow {
  version: string
  roles: RoleRecord[]
  separationOfDuty: SeparationRule[]
  inactivePermissions: string[]
}

interface SubjectRow {
  version: string
  isActive: boolean
  isSuperuser: boolean
  assignments: AssignmentRecord[]
}

// A grant through an inactive permission row is left out, so that an inactive `document:*` grants nothing either.
const selectPolicy = `
  select
    v.version,
    coalesce((
      select json_agg(json_build_object(
        'name', r.name,
        'isActive', r.is_active,
        'permissions', coalesce(granted.names, '[]'),
        'inherits', coalesce(inherited.names, '[]')
      ) order by r.name)
      from roles r
      left join (
        select rp.role_id, json_agg(p.name order by p.name) as names
        from role_permissions rp join permissions p on p.id = rp.permission_id
        where p.is_active
        group by rp.role_id
      ) granted on granted.role_id = r.id
      left join (
        select i.role_id, json_agg(r.name order by r.name) as names
        from role_inherits i join roles r on r.id = i.inherited_role_id
        group by i.role_id
      ) inherited on inherited.role_id = r.id
    ), '[]') as "roles",
    coalesce((
      select json_agg(json_build_object(
        'name', s.name, 'kind', s.kind, 'atMost', s.at_most, 'roles', coalesce((
          select json_agg(r.name order by r.name)
          from separation_rule_roles m join roles r on r.id = m.role_id
          where m.rule_id = s.id
        ), '[]')
      ) order by s.name)
      from separation_rules s
    ), '[]') as "separationOfDuty",
    coalesce((
      select json_agg(name order by name) from permissions where not is_active and action <> '*'
    ), '[]') as "inactivePermissions"
  from rbac_version v`

/**
 * The statement's own start is the one clock for all expiries: `clock_timestamp` would move between rows.
 *
 * The id must be the key's own spelling: `uuid` also reads capitals and braces, and a subject that is cached under
 * such a second name would not hear of its changes.
 */
function selectSubject(users: ResolvedUsersTable): { sql: string; bindings: (subject: string) => string[] } {
  const { table, id, ...flags } = users
  const isActive = flagOf(flags.isActive, true)
  const isSuperuser = flagOf(flags.isSuperuser, false)
  return {
    sql: `
      select
        v.version,
        ${isActive.sql} as "isActive",
        ${isSuperuser.sql} as "isSuperuser",
        coalesce((
          select json_agg(json_strip_nulls(json_build_object(
            'role', r.name,
            'scope', a.scope,
            'expiresInMs', case when isfinite(a.expires_at) then
              floor(extract(epoch from a.expires_at - statement_timestamp()) * 1000) end
          )) order by r.name, a.scope)
          from user_roles a join roles r on r.id = a.role_id
          where a.user_id = u.?? and r.is_active and (a.expires_at is null or a.expires_at > statement_timestamp())
        ), '[]') as "assignments"
      from ?? u cross join rbac_version v
      where u.?? = ? and u.??::text = ?`,
    bindings: subject => [...isActive.bindings, ...isSuperuser.bindings, id, table, id, subject, id, subject],
  }
}

async function onlyRow<Row>(knex: Knex, sql: string): Promise<Row> {
  const {
    rows: [row],
  } = await knex.raw<{ rows: Row[] }>(sql)
  if (row === undefined) throw new Error('rbac_version is empty')
  return row
}
