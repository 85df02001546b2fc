import type { Knex } from 'knex'
import type { ResolvedUsersTable } from './users-table.ts'

const policyTables = [
  'roles',
  'permissions',
  'role_permissions',
  'role_inherits',
  'separation_rules',
  'separation_rule_roles',
]

/**
 * Makes every committed change of access, raw SQL included, raise the version and notify in the same transaction.
 *
 * The row lock on `rbac_version` is held until commit. So versions are ordered as their transactions commit, and a
 * snapshot that shows version N shows every change up to N and none after.
 */
export async function createRbacTriggers(knex: Knex, users: ResolvedUsersTable): Promise<void> {
  const {
    rows: [row],
  } = await knex.raw<{ rows: { schema: string }[] }>('select current_schema() as schema')
  if (!row) throw new Error('The search path names no schema')
  const { schema } = row
  await createVersionFunctions(knex, schema)
  for (const table of policyTables) await onEachStatement(knex, table, 'rbac_policy_changed')
  await onEachStatement(knex, 'user_roles', 'rbac_assignments_changed')
  await createUserTriggers(knex, schema, users)
  await createSuperuserTrigger(knex, schema, users)
  await knex.raw(`
    create function rbac_keep_system_rows() returns trigger language plpgsql as $$
    begin
      raise exception 'The system row "%" of % cannot be deleted', old.name, tg_table_name
        using errcode = 'restrict_violation';
    end $$;
    create trigger rbac_keep_system_rows before delete on roles
      for each row when (old.is_system) execute function rbac_keep_system_rows();
    create trigger rbac_keep_system_rows before delete on permissions
      for each row when (old.is_system) execute function rbac_keep_system_rows();
  `)
}

/** Takes the triggers on the users along; those on the package's own tables go with their tables. */
export async function dropRbacTriggers(knex: Knex): Promise<void> {
  await knex.raw(`
    drop function if exists rbac_keep_superuser cascade;
    drop function rbac_user_changed, rbac_policy_changed, rbac_assignments_changed, rbac_keep_system_rows cascade;
    drop function rbac_bump;
  `)
}

/**
 * The functions run as their owner: an application's database role may then write access without any right on
 * `rbac_version` itself. One transaction raises the version once, so that PostgreSQL folds its notifications into one
 * a subject; after a savepoint it may be raised again, which does no harm.
 */
async function createVersionFunctions(knex: Knex, schema: string): Promise<void> {
  await knex.raw(
    `create function rbac_bump(subject text) returns void language plpgsql
     security definer set search_path = pg_catalog, ??, pg_temp as $$
     declare
       current_version bigint;
       source oid;
     begin
       update rbac_version set version = version + 1 where xmin <> pg_current_xact_id()::xid
         returning version, tableoid into current_version, source;
       if not found then
         select version, tableoid into strict current_version, source from rbac_version;
       end if;
       -- The channel is the database's, and another schema may have these tables too: hence the source.
       -- A notification holds less than 8000 bytes; without a subject it speaks of everybody, which is always right.
       perform pg_notify('countersign_rbac', json_strip_nulls(json_build_object(
         'version', current_version,
         'source', source::text,
         'subjectId', case when octet_length(subject) <= 1000 then subject end
       ))::text);
     end $$;
     revoke all on function rbac_bump from public;

     create function rbac_policy_changed() returns trigger language plpgsql
     security definer set search_path = pg_catalog, ??, pg_temp as $$
     declare
       changed boolean := true;
     begin
       if tg_op = 'DELETE' then
         changed := exists (select from old_rows);
       elsif tg_op <> 'TRUNCATE' then
         changed := exists (select from new_rows);
       end if;
       if changed then
         perform rbac_bump(null);
       end if;
       return null;
     end $$;

     create function rbac_assignments_changed() returns trigger language plpgsql
     security definer set search_path = pg_catalog, ??, pg_temp as $$
     declare
       subjects text[];
     begin
       if tg_op = 'INSERT' then
         subjects := array(select distinct user_id::text from new_rows limit 2);
       elsif tg_op = 'DELETE' then
         subjects := array(select distinct user_id::text from old_rows limit 2);
       elsif tg_op = 'UPDATE' then
         subjects := array(
           select user_id::text from old_rows union select user_id::text from new_rows limit 2
         );
       else
         perform rbac_bump(null);
       end if;
       if cardinality(subjects) > 0 then
         perform rbac_bump(case when cardinality(subjects) = 1 then subjects[1] end);
       end if;
       return null;
     end $$;`,
    [schema, schema, schema],
  )
}

async function onEachStatement(knex: Knex, table: string, handler: string): Promise<void> {
  const bindings = { table, handler }
  await knex.raw(
    'create trigger rbac_insert after insert on :table: referencing new table as new_rows for each statement execute function :handler:()',
    bindings,
  )
  await knex.raw(
    'create trigger rbac_update after update on :table: referencing old table as old_rows new table as new_rows for each statement execute function :handler:()',
    bindings,
  )
  await knex.raw(
    'create trigger rbac_delete after delete on :table: referencing old table as old_rows for each statement execute function :handler:()',
    bindings,
  )
  await knex.raw(
    'create trigger rbac_truncate after truncate on :table: for each statement execute function :handler:()',
    bindings,
  )
}

/** Only the key and the two flags count: a login that writes `last_login` neither raises the version nor notifies. */
async function createUserTriggers(knex: Knex, schema: string, users: ResolvedUsersTable): Promise<void> {
  await knex.raw(
    `create function rbac_user_changed() returns trigger language plpgsql
     security definer set search_path = pg_catalog, ??, pg_temp as $$
     begin
       perform rbac_bump(old.??::text);
       return null;
     end $$`,
    [schema, users.id],
  )
  const watched = [users.id, users.isActive, users.isSuperuser].filter(column => column !== false)
  const differs = watched.map(() => 'old.?? is distinct from new.??').join(' or ')
  await knex.raw(
    `create trigger rbac_user_updated after update on ?? for each row when (${differs})
     execute function rbac_user_changed()`,
    [users.table, ...watched.flatMap(column => [column, column])],
  )
  await knex.raw(
    'create trigger rbac_user_deleted after delete on ?? for each row execute function rbac_user_changed()',
    [users.table],
  )
}

/**
 * The last active superuser can be neither deleted, demoted nor deactivated, in raw SQL neither: it is the way back
 * in when every role was broken. The version's row is the lock under which two who demote each other take turns.
 */
async function createSuperuserTrigger(knex: Knex, schema: string, users: ResolvedUsersTable): Promise<void> {
  const { table, isActive, isSuperuser } = users
  if (isSuperuser === false) return
  const flags = isActive === false ? [isSuperuser] : [isSuperuser, isActive]
  const all = (row: string): string => flags.map(() => `coalesce(${row}.??, false)`).join(' and ')
  await knex.raw(
    `create function rbac_keep_superuser() returns trigger language plpgsql
     security definer set search_path = pg_catalog, ??, pg_temp as $$
     begin
       perform from rbac_version for update;
       if not exists (select from ?? u where ${all('u')}) then
         raise exception 'The last active superuser cannot be deleted, demoted or deactivated'
           using errcode = 'restrict_violation', constraint = 'rbac_keep_superuser';
       end if;
       return null;
     end $$`,
    [schema, table, ...flags],
  )
  await knex.raw(
    `create trigger rbac_keep_superuser_updated after update on ?? for each row
     when (${all('old')} and not (${all('new')})) execute function rbac_keep_superuser()`,
    [table, ...flags, ...flags],
  )
  await knex.raw(
    `create trigger rbac_keep_superuser_deleted after delete on ?? for each row when (${all('old')})
     execute function rbac_keep_superuser()`,
    [table, ...flags],
  )
}
