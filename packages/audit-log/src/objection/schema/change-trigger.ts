/** The start of the comment that carries the audit context; the trigger looks for it at a statement's start only. */
export const commentStart = '/*countersign:'

/**
 * Judges column names that did not exist when the table's policy was written, and keys inside json columns. It errs on
 * the side of masking; the columns that a policy knows were judged by their words.
 */
const secretName =
  '(passw|passphrase|passcode|pwd|secret|token|api[_-]*key|private[_-]*key|access[_-]*key|credential|authorization' +
  '|cookie|session|jwt|csrf|xsrf|cvv|cvc|card[_-]*number|iban|ssn|mnemonic|(^|[_-])(otp|totp|pin|pass|pw|sid)([_-]|$))'

const settings = 'set search_path = pg_catalog, pg_temp'

// Values beyond this are cut: a log must not double the cost of every large field.
const longestValue = 16_384
const deepest = 32

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
 * `shown` gives columns as the log may show them; it is called only where a value is large, of json, or of a column that
 * is masked or not known to be harmless.
 */
const valueFunctions = (schema: string) => `
create function ${schema}.countersign_audit_json(value jsonb, depth integer) returns jsonb
  language plpgsql immutable parallel safe ${settings} as $body$
begin
  if jsonb_typeof(value) not in ('object', 'array') then
    return value;
  elsif depth > ${deepest} then
    return '"[too deep]"';
  elsif jsonb_typeof(value) = 'array' then
    return (select coalesce(jsonb_agg(${schema}.countersign_audit_json(e, depth + 1) order by n), '[]')
            from jsonb_array_elements(value) with ordinality as elements (e, n));
  end if;
  return (select coalesce(jsonb_object_agg(key, case
            when key ~* '${secretName}' and e <> 'null' then '"[masked]"'
            else ${schema}.countersign_audit_json(e, depth + 1) end), '{}')
          from jsonb_each(value) as members (key, e));
end
$body$;

create function ${schema}.countersign_audit_shown(columns jsonb, hidden text[], judged text[]) returns jsonb
  language plpgsql stable parallel safe ${settings} as $body$
begin
  return (select jsonb_object_agg(key, case
      when e = 'null' then e
      when key = any(hidden) or (key <> all(judged) and key ~* '${secretName}') then '"[masked]"'
      when pg_column_size(e) > ${longestValue} then
        to_jsonb(left(e #>> '{}', 1024) || '[truncated: ' || length(e #>> '{}') || ' characters]')
      else ${schema}.countersign_audit_json(e, 0) end)
    from jsonb_each(columns) as listed (key, e));
end
$body$;
`

// Microseconds go into the twelve bits after the version (RFC 9562, 6.2, method 3), so that ids keep the order of changes.
const identity = `
    encode(int8send((now_us / 1000 << 16) | 28672 | (now_us % 1000 * 4096 / 1000))
      || substring(uuid_send(gen_random_uuid()) from 9), 'hex')::uuid, to_timestamp(now_us / 1000 / 1000.0)`

const contextColumns = `user_id, actor_type, impersonator_id, session_id, ip_address, user_agent, tenant_id, correlation_id,
    causation_id, source`

const contextValues = `
    left(context->>'u', 255), left(context->>'t', 255), left(context->>'i', 255), left(context->>'s', 255),
    left(context->>'a', 255), left(context->>'g', 512), left(context->>'n', 255), left(context->>'c', 255),
    left(context->>'p', 255), left(context->>'o', 255)`

const nowMicroseconds = '(extract(epoch from clock_timestamp()) * 1000000)::bigint'

/**
 * Arguments: resource type, key columns, included columns (none: all), excluded columns, masked columns, columns shown as
 * they are, the column that names the row for people, the column that marks it as deleted, the columns whose names were
 * judged when the policy was written.
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
  now_us constant bigint := ${nowMicroseconds};
  context jsonb;
  before jsonb;
  after jsonb;
  old_values jsonb;
  new_values jsonb;
  verb text;
begin
  if tg_op = 'UPDATE' then
    if old *= new then
      return null;
    end if;
    before := to_jsonb(old);
    after := to_jsonb(new);
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
    after := to_jsonb(new);
    verb := 'create';
    new_values := after - excluded;
    if included <> '{}' then
      new_values := (select jsonb_object_agg(key, new_values->key) from unnest(included) as key where jsonb_exists(new_values, key));
    end if;
  else
    before := to_jsonb(old);
    verb := 'delete';
    old_values := before - excluded;
    if included <> '{}' then
      old_values := (select jsonb_object_agg(key, old_values->key) from unnest(included) as key where jsonb_exists(old_values, key));
    end if;
  end if;

  if coalesce(new_values, old_values) - plain <> '{}' or pg_column_size(new_values) > ${longestValue}
      or pg_column_size(old_values) > ${longestValue} then
    old_values := ${schema}.countersign_audit_shown(old_values, hidden, judged);
    new_values := ${schema}.countersign_audit_shown(new_values, hidden, judged);
  end if;

  context := ${schema}.countersign_audit_context();
  insert into ${schema}.audit_logs (id, created_at, action, resource_type, resource_id, resource_repr, old_values, new_values,
    metadata, ${contextColumns})
  values (${identity}, resource || '.' || verb, resource,
    left(case cardinality(keys)
      when 0 then null
      when 1 then coalesce(before, after)->>keys[1]
      else (select jsonb_agg(coalesce(before, after)->k order by n) from unnest(keys) with ordinality as key (k, n))::text
    end, 255),
    left(coalesce(after, before)->>repr, 255),
    old_values, new_values,
    case when context->>'w' is not null then jsonb_build_object('traceparent', left(context->>'w', 64)) end, ${contextValues});
  return null;
end
$body$;
revoke all on function ${schema}.countersign_audit_change() from public;
`

const truncateFunction = (schema: string) => `
create function ${schema}.countersign_audit_truncate() returns trigger
  language plpgsql security definer ${settings} as $body$
declare
  now_us constant bigint := ${nowMicroseconds};
  context constant jsonb := ${schema}.countersign_audit_context();
begin
  insert into ${schema}.audit_logs (id, created_at, action, severity, resource_type, metadata, ${contextColumns})
  values (${identity}, tg_argv[0] || '.truncate', 'warn', tg_argv[0],
    jsonb_build_object('table', tg_table_schema || '.' || tg_table_name), ${contextValues});
  return null;
end
$body$;
revoke all on function ${schema}.countersign_audit_truncate() from public;
`

/** Makes the triggers of a table, in the database because a statement that makes them takes no parameters. */
const installFunctions = (schema: string) => `
create function ${schema}.countersign_audit_install(target regclass, arguments jsonb) returns void
  language plpgsql ${settings} as $body$
begin
  execute format('create or replace trigger countersign_audit after insert or update or delete on %s
    for each row execute function ${schema}.countersign_audit_change(%s)', target,
    (select string_agg(quote_literal(a), ', ' order by n)
       from jsonb_array_elements_text(arguments) with ordinality as listed (a, n)));
  execute format('create or replace trigger countersign_audit_truncate after truncate on %s
    for each statement execute function ${schema}.countersign_audit_truncate(%L)', target, arguments->>0);
end
$body$;

create function ${schema}.countersign_audit_remove(target regclass) returns void
  language plpgsql ${settings} as $body$
begin
  execute format('drop trigger if exists countersign_audit on %s', target);
  execute format('drop trigger if exists countersign_audit_truncate on %s', target);
end
$body$;
`

/** Makes the functions that the triggers of audited tables call; `schema` is a quoted identifier. */
export function createChangeTrigger(schema: string): string {
  return [contextFunction, valueFunctions, changeFunction, truncateFunction, installFunctions]
    .map(part => part(schema))
    .join('')
}

export function dropChangeTrigger(schema: string): string {
  return `
drop function ${schema}.countersign_audit_remove(regclass);
drop function ${schema}.countersign_audit_install(regclass, jsonb);
drop function ${schema}.countersign_audit_truncate();
drop function ${schema}.countersign_audit_change();
drop function ${schema}.countersign_audit_shown(jsonb, text[], text[]);
drop function ${schema}.countersign_audit_json(jsonb, integer);
drop function ${schema}.countersign_audit_context();
`
}
