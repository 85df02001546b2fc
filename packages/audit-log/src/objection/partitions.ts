import type { Knex } from 'knex'
import { AuditOptionError } from '../errors.ts'

/** Options of `maintainPartitions`. */
export interface MaintainPartitionsOptions {
  /** How many months after this one must have their partition. @defaultValue 12 */
  readonly monthsAhead?: number | undefined
}

/**
 * Creates the log's missing monthly partitions. To be run once a day by one of the app's processes, as the log's owner: a
 * month without a partition refuses every write of an audited table.
 *
 * @param knex - A knex whose role owns `audit_logs`.
 * @param options - How far ahead.
 * @returns The names of the partitions that were created.
 * @throws `AUDIT_OPTION_INVALID` for a number of months that is not between 1 and 120.
 */
export async function maintainPartitions(knex: Knex, options: MaintainPartitionsOptions = {}): Promise<string[]> {
  const { monthsAhead = 12 } = options
  if (!Number.isInteger(monthsAhead) || monthsAhead < 1 || monthsAhead > 120) {
    throw new AuditOptionError('monthsAhead', 'a whole number of months from 1 to 120')
  }
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'select name from countersign_audit_partitions(?) as partitions (name)',
    [monthsAhead],
  )
  return rows.map(row => row.name)
}

/**
 * Tells how many whole months after this one still have a partition: raise an alarm below three.
 *
 * @param knex - A knex that can read the catalog.
 * @returns The number of months.
 */
export async function partitionedMonthsAhead(knex: Knex): Promise<number> {
  const { rows } = await knex.raw<{ rows: { months: number }[] }>(`
    select count(*)::integer as months from pg_inherits
      join pg_class on pg_class.oid = inhrelid
     where inhparent = 'audit_logs'::regclass
       and relname > 'audit_logs_' || to_char(now() at time zone 'utc', 'YYYY_MM')`)
  return rows[0]?.months ?? 0
}
