import type { Knex } from 'knex'
import { InvalidDefinitionError } from '../errors.ts'
import type { ResolvedUsersTable } from './users-table.ts'

export async function createUsersTable(knex: Knex): Promise<void> {
  await knex.raw(`
    create table users (
      id uuid primary key default gen_random_uuid(),
      username text not null check (username <> ''),
      email text,
      password_hash text,
      first_name text not null default '',
      last_name text not null default '',
      is_active boolean not null default true,
      is_staff boolean not null default false,
      is_superuser boolean not null default false,
      last_login timestamptz,
      date_joined timestamptz not null default now(),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create unique index users_username_unique on users (lower(username));
    create unique index users_email_unique on users (lower(email));
  `)
}

export async function dropUsersTable(knex: Knex): Promise<void> {
  await knex.raw('drop table users')
}

/**
 * Returns the table with its schema, for functions that have a search path of their own, and the SQL type of its key;
 * or says which of the named things is not there.
 */
export async function checkUsersTable(
  knex: Knex,
  users: ResolvedUsersTable,
): Promise<{ users: ResolvedUsersTable; idType: string }> {
  const {
    rows: [table],
  } = await knex.raw<{ rows: { oid: string; name: string }[] }>(
    `select c.oid, n.nspname || '.' || c.relname as name
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass(?)`,
    [knex.raw('??', [users.table]).toQuery()],
  )
  if (!table) throw new InvalidDefinitionError('users.table', `there is no table ${users.table}`)
  const { rows: columns } = await knex.raw<{ rows: { name: string; type: string; isKey: boolean }[] }>(
    `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
       exists (
         select from pg_index i
         where i.indrelid = a.attrelid and i.indisunique and i.indpred is null and i.indkey::text = a.attnum::text
       ) as "isKey"
     from pg_attribute a where a.attrelid = ? and a.attnum > 0 and not a.attisdropped`,
    [table.oid],
  )
  const byName = new Map(columns.map(column => [column.name, column]))
  for (const field of ['isActive', 'isSuperuser'] as const) {
    const column = users[field]
    if (column !== false && byName.get(column)?.type !== 'boolean') {
      throw new InvalidDefinitionError(
        `users.${field}`,
        `expected a boolean column of ${users.table}, or false if it has none`,
      )
    }
  }
  const id = byName.get(users.id)
  if (!id?.isKey) throw new InvalidDefinitionError('users.id', `expected a unique column of ${users.table}`)
  return { users: { ...users, table: table.name }, idType: id.type }
}
