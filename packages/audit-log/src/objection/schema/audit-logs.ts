/**
 * The log's table. `created_at` is the millisecond inside `id`, so that a row sent twice collides with itself, and
 * `updated_at` repeats it: a row never changes. `xid`, `salt` and `schema_version` are the ledger's.
 */
export const createAuditLogs = `
create table audit_logs (
  id uuid not null,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) generated always as (created_at) stored,
  xid xid8 not null default pg_current_xact_id(),
  schema_version smallint not null default 1,
  response_status smallint,
  duration_ms integer,
  salt bytea not null default uuid_send(gen_random_uuid()),
  created_by text not null default session_user,
  action text not null,
  outcome text not null default 'success',
  severity text not null default 'info',
  actor_type text,
  user_id text,
  impersonator_id text,
  session_id text,
  ip_address text,
  user_agent text,
  tenant_id text,
  correlation_id text,
  causation_id text,
  resource_type text,
  resource_id text,
  resource_repr text,
  request_method text,
  request_path text,
  request_data jsonb,
  old_values jsonb,
  new_values jsonb,
  metadata jsonb,
  message text,
  source text,
  primary key (id, created_at)
) partition by range (created_at);

comment on column audit_logs.created_by is 'the database role that wrote the row; who acted is user_id';

create index audit_logs_actor on audit_logs (user_id, id);
create index audit_logs_resource on audit_logs (resource_type, resource_id, id);
create index audit_logs_action on audit_logs (action, id);
create index audit_logs_correlation on audit_logs (correlation_id, id);
create index audit_logs_xid on audit_logs (xid, id);

revoke all on audit_logs from public;
`

/** Append-only for everyone: the statement is refused before it touches a row, on the log and on each of its partitions. */
export const createAppendOnly = `
create function countersign_audit_refuse() returns trigger language plpgsql as $body$
begin
  raise exception 'audit_logs is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end
$body$;

create trigger countersign_audit_append_only before update or delete or truncate on audit_logs
  for each statement execute function countersign_audit_refuse();
alter table audit_logs enable always trigger countersign_audit_append_only;
`

/**
 * Makes the partitions of last month, this month and the given number of months ahead. A partition is filled in before it
 * is attached, because attaching does not wait for open transactions that write to the log, and creating it in place does.
 */
export const createPartitioning = `
create function countersign_audit_partitions(months_ahead integer) returns setof text language plpgsql as $body$
declare
  first_month constant timestamp := date_trunc('month', now() at time zone 'utc');
  month timestamp;
  partition text;
  home constant text := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                         where c.oid = 'audit_logs'::regclass);
begin
  perform pg_advisory_xact_lock(hashtext('countersign_audit_partitions'));
  for i in -1 .. months_ahead loop
    month := first_month + make_interval(months => i);
    partition := 'audit_logs_' || to_char(month, 'YYYY_MM');
    continue when to_regclass(format('%I.%I', home, partition)) is not null;
    execute format('create table %I.%I (like %I.audit_logs including defaults including constraints including generated)',
      home, partition, home);
    execute format('create trigger countersign_audit_append_only before update or delete or truncate on %I.%I
      for each statement execute function %I.countersign_audit_refuse()', home, partition, home);
    execute format('alter table %I.%I enable always trigger countersign_audit_append_only', home, partition);
    execute format('revoke all on %I.%I from public', home, partition);
    execute format('alter table %I.audit_logs attach partition %I.%I for values from (%L) to (%L)',
      home, home, partition, to_char(month, 'YYYY-MM-DD 00:00:00+00'),
      to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00'));
    return next partition;
  end loop;
end
$body$;
revoke all on function countersign_audit_partitions(integer) from public;

select countersign_audit_partitions(12);
`

export const dropAuditLogs = `
drop table audit_logs;
drop function countersign_audit_partitions(integer);
drop function countersign_audit_refuse();
`
