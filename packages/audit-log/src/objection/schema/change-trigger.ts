import { settings } from './settings.ts'
import { longestValue } from './shown-values.ts'

/** The start of the comment that carries the audit context; the trigger looks for it at a statement's start only. */
export const commentStart = '/*countersign:'

/** Reads the context of the running statement; null where there is none or it is not ours. */
const contextFunction = (schema: string) => `
create function ${schema}.countersign_audit_context() returns jsonb
  language plpgsql stable parallel restricted ${settings} as $body$
declare
  statement constant text := left(current_query(), 8192);
  start constant integer := ${commentStart.length + 1};
begin
  if not starts_with(statement, '${commentStart}') then
    return null;
  end if;
  return substring(statement from start for strpos(statement, '*/') - start)::jsonb;
exception when data_exception then
  return null;
end
$body$;
`

/**
 * Writes a row. The microseconds go into the twelve bits after the version of its id (RFC 9562, 6.2, method 3), so that ids
 * keep the order of changes. Texts are bounded, for an index takes no more than 2,700 bytes.
 */
const writeFunction = (schema: string) => `
create function ${schema}.countersign_audit_write(action text, severity text, type text, id text, repr text,
    old_values jsonb, new_values jsonb, details jsonb) returns uuid
  language plpgsql ${settings} as $body$
declare
  now_us constant bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
  context constant jsonb := ${schema}.countersign_audit_context();
  row_id constant uuid := encode(int8send((now_us / 1000 << 16) | 28672 | (now_us % 1000 * 4096 / 1000))
    || substring(uuid_send(gen_random_uuid()) from 9), 'hex');
begin
  if context->>'w' is not null then
    details := coalesce(details, '{}') || jsonb_build_object('traceparent', left(context->>'w', 64));
  end if;
  insert into ${schema}.audit_logs (id, created_at, action, severity, resource_type, resource_id, resource_repr, old_values,
    new_values, metadata, user_id, actor_type, impersonator_id, session_id, ip_address, user_agent, tenant_id, correlation_id,
    causation_id, source)
  values (row_id, to_timestamp(now_us / 1000 / 1000.0), action, severity, type, left(id, 255), left(repr, 255), old_values,
    new_values, details, left(context->>'u', 255), left(context->>'t', 255), left(context->>'i', 255),
    left(context->>'s', 255), left(context->>'a', 255), left(context->>'g', 255), left(context->>'n', 255),
    left(context->>'c', 255), left(context->>'p', 255), left(context->>'o', 255));
  return row_id;
end
$body$;
revoke all on function ${schema}.countersign_audit_write(text, text, text, text, text, jsonb, jsonb, jsonb) from public;
`

/** A row of a table that relates others is a change of each end, told with the ids of all ends. */
const linkFunction = (schema: string) => `
create function ${schema}.countersign_audit_link(ends text[], before jsonb, after jsonb) returns void
  language plpgsql ${settings} as $body$
declare
  columns constant text[] := (select array_agg(name order by n) from unnest(ends) with ordinality as pair (name, n) where n % 2 = 0);
  was constant jsonb := (select jsonb_object_agg(name, before->name) from unnest(columns) as name where before is not null);
  becomes constant jsonb := (select jsonb_object_agg(name, after->name) from unnest(columns) as name where after is not null);
begin
  if was = becomes then
    return;
  end if;
  for i in 1 .. cardinality(columns) loop
    if was is not null then
      perform ${schema}.countersign_audit_write(ends[2 * i - 1] || '.unrelate', 'info', ends[2 * i - 1],
        was->>columns[i], null, was, null, null);
    end if;
    if becomes is not null then
      perform ${schema}.countersign_audit_write(ends[2 * i - 1] || '.relate', 'info', ends[2 * i - 1],
        becomes->>columns[i], null, null, becomes, null);
    end if;
  end loop;
end
$body$;
revoke all on function ${schema}.countersign_audit_link(text[], jsonb, jsonb) from public;
`

/**
 * Arguments: resource type, key columns, included columns (none: all), excluded columns, masked columns, columns shown as
 * they are, the column that names the row for people, the column that marks it as deleted, the columns whose names were
 * judged when the policy was written; for a table that relates others: the type and the column of each end in turn; paths to
 * keys in json columns that are excluded, and masked, each the text of an array.
 */
const changeFunction = (schema: string) => `
create function ${schema}.countersign_audit_change() returns trigger
  language plpgsql security definer ${settings} as $body$
declare
  resource constant text := tg_argv[0];
  keys constant text[] := tg_argv[1];
  included constant text[] := tg_argv[2];
  excluded constant text[] := tg_argv[3];
  hidden constant text[] := tg_argv[4];
  plain constant text[] := tg_argv[5];
  repr constant text := tg_argv[6];
  soft_delete constant text := tg_argv[7];
  judged constant text[] := tg_argv[8];
  ends constant text[] := tg_argv[9];
  excluded_keys constant text[] := tg_argv[10];
  hidden_keys constant text[] := tg_argv[11];
  before jsonb;
  after jsonb;
  old_values jsonb;
  new_values jsonb;
  verb text;
  written uuid;
begin
  if tg_op = 'UPDATE' and old *= new then
    return null;
  end if;
  if tg_op <> 'INSERT' then
    before := to_jsonb(old);
  end if;
  if tg_op <> 'DELETE' then
    after := to_jsonb(new);
  end if;
  if excluded_keys <> '{}' then
    before := ${schema}.countersign_audit_replace(before, excluded_keys, null);
    after := ${schema}.countersign_audit_replace(after, excluded_keys, null);
  end if;

  if tg_op = 'UPDATE' then
    verb := 'update';
    select jsonb_object_agg(key, before->key), jsonb_object_agg(key, value)
      into old_values, new_values
      from jsonb_each(after - excluded) as columns (key, value)
     where value is distinct from before->key and (included = '{}' or key = any(included));
    if new_values is null then
      return null;
    end if;
    if soft_delete <> '' and (coalesce(before->>soft_delete, 'false') = 'false')
        <> (coalesce(after->>soft_delete, 'false') = 'false') then
      verb := case when coalesce(after->>soft_delete, 'false') = 'false' then 'restore' else 'soft_delete' end;
    end if;
  elsif tg_op = 'INSERT' then
    verb := 'create';
    new_values := after - excluded;
    if included <> '{}' then
      new_values := (select jsonb_object_agg(key, new_values->key) from unnest(included) as key where jsonb_exists(new_values, key));
    end if;
  else
    verb := 'delete';
    old_values := before - excluded;
    if included <> '{}' then
      old_values := (select jsonb_object_agg(key, old_values->key) from unnest(included) as key where jsonb_exists(old_values, key));
    end if;
  end if;

  if hidden_keys <> '{}' then
    old_values := ${schema}.countersign_audit_replace(old_values, hidden_keys, '"[masked]"');
    new_values := ${schema}.countersign_audit_replace(new_values, hidden_keys, '"[masked]"');
  end if;
  if coalesce(new_values, old_values) - plain <> '{}' or pg_column_size(new_values) > ${longestValue}
      or pg_column_size(old_values) > ${longestValue} then
    old_values := ${schema}.countersign_audit_shown(old_values, hidden, judged);
    new_values := ${schema}.countersign_audit_shown(new_values, hidden, judged);
  end if;

  written := ${schema}.countersign_audit_write(resource || '.' || verb, 'info', resource,
    case cardinality(keys)
      when 0 then null
      when 1 then coalesce(before, after)->>keys[1]
      else (select jsonb_agg(coalesce(before, after)->k order by n) from unnest(keys) with ordinality as key (k, n))::text
    end, coalesce(after, before)->>repr, old_values, new_values, null);
  if ends <> '{}' then
    perform ${schema}.countersign_audit_link(ends, before, after);
  end if;
  return null;
end
$body$;
revoke all on function ${schema}.countersign_audit_change() from public;
`

const truncateFunction = (schema: string) => `
create function ${schema}.countersign_audit_truncate() returns trigger
  language plpgsql security definer ${settings} as $body$
begin
  perform ${schema}.countersign_audit_write(tg_argv[0] || '.truncate', 'warn', tg_argv[0], null, null, null, null,
    jsonb_build_object('table', tg_table_schema || '.' || tg_table_name));
  return null;
end
$body$;
revoke all on function ${schema}.countersign_audit_truncate() from public;
`

/** Makes the functions that the triggers of audited tables call; `schema` is a quoted identifier. */
export function createChangeTrigger(schema: string): string {
  return [contextFunction, writeFunction, linkFunction, changeFunction, truncateFunction]
    .map(part => part(schema))
    .join('')
}

export const dropChangeTrigger = (schema: string): string => `
drop function ${schema}.countersign_audit_truncate();
drop function ${schema}.countersign_audit_change();
drop function ${schema}.countersign_audit_link(text[], jsonb, jsonb);
drop function ${schema}.countersign_audit_write(text, text, text, text, text, jsonb, jsonb, jsonb);
drop function ${schema}.countersign_audit_context();
`
