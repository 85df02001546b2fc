import type { Knex } from 'knex'
import { AuditOptionError } from '../errors.ts'
import { triggerArguments, type TableFacts, type TablePolicy } from './table-policy.ts'

/**
 * Installs the triggers that record every change of a table in the changing transaction, or replaces their policy. To be
 * called in a migration; again with another policy to change it, and again after a column was renamed.
 *
 * @param knex - A knex or a transaction whose role owns the table.
 * @param table - The table's name as in the database, `schema.table` where it is not on the search path.
 * @param policy - Which columns are recorded and how; all of them, those with a secret's name masked, by default.
 * @throws `AUDIT_OPTION_INVALID` where the table or a named column does not exist.
 * @example
 * ```ts
 * import { auditTable } from '@countersign/audit-log/objection'
 * import type { Knex } from 'knex'
 *
 * export async function up(knex: Knex): Promise<void> {
 *   await auditTable(knex, 'documents', { resourceType: 'document', exclude: ['search_vector'], mask: ['iban'] })
 * }
 * ```
 */
export async function auditTable(knex: Knex, table: string, policy: TablePolicy = {}): Promise<void> {
  const facts = await tableFacts(knex, table)
  await knex.raw('select ??.countersign_audit_install(?::oid::regclass, ?)', [
    facts.home,
    facts.oid,
    JSON.stringify(triggerArguments(policy, facts)),
  ])
}

/**
 * Removes what `auditTable` installed; the rows recorded so far stay.
 *
 * @param knex - A knex or a transaction whose role owns the table.
 * @param table - The table's name as in the database.
 * @throws `AUDIT_OPTION_INVALID` where the table does not exist.
 */
export async function unauditTable(knex: Knex, table: string): Promise<void> {
  const { home, oid } = await tableFacts(knex, table)
  await knex.raw('select ??.countersign_audit_remove(?::oid::regclass)', [home, oid])
}

interface AuditedTable extends TableFacts {
  readonly oid: number
  /** The schema of the audit log's functions. */
  readonly home: string
}

const factsQuery = `
  select c.oid, c.relname as name,
    array(select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
    array(select a.attname::text from pg_attribute a join pg_type d on d.oid = a.atttypid
      join pg_type t on t.oid = coalesce(nullif(d.typbasetype, 0), d.oid)
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and t.typtype in ('b', 'e', 'r', 'm')
        and t.typcategory <> 'A' and t.typname not in ('json', 'jsonb', 'hstore')) as "scalarColumns",
    array(select a.attname::text from pg_index i
      cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
      where i.indrelid = c.oid and i.indisprimary order by k.position) as "primaryKey",
    (select f.nspname from pg_proc p join pg_namespace f on f.oid = p.pronamespace
      where p.proname = 'countersign_audit_install'
      order by array_position(current_schemas(false), f.nspname) limit 1) as home
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and (c.relname = ? and pg_table_is_visible(c.oid) or n.nspname || '.' || c.relname = ?)
  order by pg_table_is_visible(c.oid) desc limit 1`

async function tableFacts(knex: Knex, table: string): Promise<AuditedTable> {
  const { rows } = await knex.raw<{ rows: (AuditedTable & { home: string | null })[] }>(factsQuery, [table, table])
  const [facts] = rows
  if (!facts) throw new AuditOptionError('table', `the name of an existing table; there is no ${table}`)
  if (facts.home === null)
    throw new AuditOptionError('knex', 'a database where the migrations of the audit log have run')
  return { ...facts, home: facts.home }
}
