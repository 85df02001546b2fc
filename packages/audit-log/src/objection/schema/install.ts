import { settings } from './settings.ts'

/**
 * Makes the triggers of a table, in the database because a statement that makes them takes no parameters. Row triggers of a
 * partitioned table are those of its partitions; tables that inherit from another, and `truncate` of a partition, need
 * triggers of their own.
 */
export const installFunctions = (schema: string): string => `
create function ${schema}.countersign_audit_family(target regclass) returns table (member regclass, is_partition boolean)
  language sql stable ${settings} as $body$
  with recursive family (member) as (
    select target::oid
    union
    select inhrelid from family join pg_inherits on inhparent = member
  )
  select oid::regclass, relispartition and oid <> target from family join pg_class on oid = member
   where relkind in ('r', 'p')
$body$;

create function ${schema}.countersign_audit_install(target regclass, arguments jsonb) returns void
  language plpgsql ${settings} as $body$
declare
  argument_list constant text := (select string_agg(quote_literal(a), ', ' order by n)
    from jsonb_array_elements_text(arguments) with ordinality as listed (a, n));
  relation record;
begin
  for relation in select * from ${schema}.countersign_audit_family(target) loop
    if not relation.is_partition then
      execute format('create or replace trigger countersign_audit after insert or update or delete on %s
        for each row execute function ${schema}.countersign_audit_change(%s)', relation.member, argument_list);
    end if;
    execute format('create or replace trigger countersign_audit_truncate after truncate on %s
      for each statement execute function ${schema}.countersign_audit_truncate(%L)', relation.member, arguments->>0);
  end loop;
end
$body$;

create function ${schema}.countersign_audit_remove(target regclass) returns void
  language plpgsql ${settings} as $body$
declare
  relation record;
begin
  for relation in select * from ${schema}.countersign_audit_family(target) loop
    if not relation.is_partition then
      execute format('drop trigger if exists countersign_audit on %s', relation.member);
    end if;
    execute format('drop trigger if exists countersign_audit_truncate on %s', relation.member);
  end loop;
end
$body$;
`

export const dropInstallFunctions = (schema: string): string => `
drop function ${schema}.countersign_audit_remove(regclass);
drop function ${schema}.countersign_audit_install(regclass, jsonb);
drop function ${schema}.countersign_audit_family(regclass);
`
