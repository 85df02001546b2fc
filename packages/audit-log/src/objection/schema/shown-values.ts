import { settings } from './settings.ts'

/**
 * Judges column names that did not exist when the table's policy was written, and keys inside json columns. It errs on
 * the side of masking; the columns that a policy knows were judged by their words.
 */
const secretName =
  '(passw|passphrase|passcode|pwd|secret|token|api[_-]*key|private[_-]*key|access[_-]*key|credential|authorization' +
  '|cookie|session|jwt|csrf|xsrf|cvv|cvc|card[_-]*number|iban|ssn|mnemonic|(^|[_-])(otp|totp|pin|pass|pw|sid)([_-]|$))'

// Values beyond this are cut: a log must not double the cost of every large field.
export const longestValue = 16_384
const deepest = 32

/**
 * `shown` gives columns as the log may show them; it is called only where a value is large, of json, or of a column that
 * is masked or not known to be harmless.
 */
const shownValues = (schema: string): string => `
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
      when pg_column_size(e) > ${longestValue} then to_jsonb(case
        when jsonb_typeof(e) = 'string' then left(e #>> '{}', 1024) || '[truncated: ' || length(e #>> '{}') || ' characters]'
        -- The text of an object would show the secrets in it.
        else '[truncated: ' || pg_column_size(e) || ' bytes]' end)
      else ${schema}.countersign_audit_json(e, 0) end)
    from jsonb_each(columns) as listed (key, e));
end
$body$;
`

/** Removes, or replaces where there is something, what stands at the paths inside columns. */
const replaceFunction = (schema: string) => `
create function ${schema}.countersign_audit_replace(columns jsonb, paths text[], replacement jsonb) returns jsonb
  language plpgsql immutable parallel safe ${settings} as $body$
declare
  path_text text;
  path text[];
begin
  foreach path_text in array paths loop
    path := path_text;
    -- In anything but an object the last part of a path is no key.
    continue when jsonb_typeof(columns #> path[1 : cardinality(path) - 1]) is distinct from 'object';
    if replacement is null then
      columns := columns #- path;
    elsif columns #> path <> 'null' then
      columns := jsonb_set(columns, path, replacement);
    end if;
  end loop;
  return columns;
end
$body$;
`

/** Makes the functions that decide what of a value the log shows; `schema` is a quoted identifier. */
export function createShownValues(schema: string): string {
  return shownValues(schema) + replaceFunction(schema)
}

export const dropShownValues = (schema: string): string => `
drop function ${schema}.countersign_audit_replace(jsonb, text[], jsonb);
drop function ${schema}.countersign_audit_shown(jsonb, text[], text[]);
drop function ${schema}.countersign_audit_json(jsonb, integer);
`
