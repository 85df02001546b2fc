import type { Knex } from 'knex'

/**
 * Lets a database role add to the log and read it, and nothing else. For the role that the app connects with: what audited
 * tables record needs no grant, `record`, `recordDurably` and `query` need this one. It may also keep the positions of sinks.
 *
 * @param knex - A knex whose role owns `audit_logs`; usually in a migration.
 * @param role - The role's name as in the database.
 */
export async function grantAuditWriter(knex: Knex, role: string): Promise<void> {
  await knex.raw('revoke all on audit_logs from ??', [role])
  await knex.raw('grant insert, select on audit_logs to ??', [role])
  await knex.raw('grant insert, select, update on audit_sinks to ??', [role])
}

/**
 * Lets a database role read the log and nothing else.
 *
 * @param knex - A knex whose role owns `audit_logs`; usually in a migration.
 * @param role - The role's name as in the database.
 */
export async function grantAuditReader(knex: Knex, role: string): Promise<void> {
  await knex.raw('revoke all on audit_logs from ??', [role])
  await knex.raw('grant select on audit_logs to ??', [role])
}
