import type { Knex } from 'knex'
import type { ResolvedUsersTable } from './users-table.ts'

/** `idType` comes from the catalog of the database (`format_type`), never from a caller. */
export async function createRbacTables(knex: Knex, users: ResolvedUsersTable, idType: string): Promise<void> {
  // Milliseconds are all that a JavaScript Date keeps, and optimistic locking compares `updated_at`.
  await knex.raw(`
    create table roles (
      id uuid primary key default gen_random_uuid(),
      name text not null unique check (name <> ''),
      description text not null default '',
      is_active boolean not null default true,
      is_system boolean not null default false,
      created_at timestamptz(3) not null default now(),
      updated_at timestamptz(3) not null default now()
    );
    create table permissions (
      id uuid primary key default gen_random_uuid(),
      name text not null unique,
      description text not null default '',
      resource text not null check (resource <> ''),
      action text not null check (action <> ''),
      is_active boolean not null default true,
      is_system boolean not null default false,
      created_at timestamptz(3) not null default now(),
      updated_at timestamptz(3) not null default now(),
      check (name = case when resource = '*' and action = '*' then '*' else resource || ':' || action end)
    );
    create table role_permissions (
      role_id uuid not null references roles on delete cascade,
      permission_id uuid not null references permissions on delete cascade,
      primary key (role_id, permission_id)
    );
    create index role_permissions_permission on role_permissions (permission_id);
    create table role_inherits (
      role_id uuid not null references roles on delete cascade,
      inherited_role_id uuid not null references roles on delete cascade,
      primary key (role_id, inherited_role_id),
      check (role_id <> inherited_role_id)
    );
    create index role_inherits_inherited on role_inherits (inherited_role_id);
    create table separation_rules (
      id uuid primary key default gen_random_uuid(),
      name text not null unique check (name <> ''),
      kind text not null check (kind in ('static', 'dynamic')),
      at_most integer not null check (at_most >= 1),
      created_at timestamptz(3) not null default now()
    );
    create table separation_rule_roles (
      rule_id uuid not null references separation_rules on delete cascade,
      role_id uuid not null references roles on delete cascade,
      primary key (rule_id, role_id)
    );
    create index separation_rule_roles_role on separation_rule_roles (role_id);
  `)
  // `granted_by` refers to nobody, so that the record outlives the user who granted.
  await knex.raw(
    `create table user_roles (
      user_id ${idType} not null references ?? (??) on delete cascade,
      role_id uuid not null references roles on delete cascade,
      scope text check (scope <> ''),
      expires_at timestamptz,
      granted_by ${idType},
      granted_at timestamptz not null default now(),
      reason text,
      unique nulls not distinct (user_id, role_id, scope)
    );
    create index user_roles_role on user_roles (role_id);`,
    [users.table, users.id],
  )
  // A number from the clock, so that a schema made anew does not repeat versions which a cache may remember.
  await knex.raw(`
    create table rbac_version (
      only_row boolean primary key default true check (only_row),
      version bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint
    );
    insert into rbac_version default values;
  `)
}

export async function dropRbacTables(knex: Knex): Promise<void> {
  await knex.raw(`
    drop table user_roles, separation_rule_roles, separation_rules, role_inherits, role_permissions, permissions, roles,
      rbac_version
  `)
}
