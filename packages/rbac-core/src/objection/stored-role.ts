import type { Knex } from 'knex'
import { UnknownRoleError } from '../errors.ts'
import { isStorable } from './check-text.ts'

export interface StoredRole {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly is_system: boolean
  readonly updated_at: Date
}

export async function findRole(knex: Knex, name: string, where = 'The request'): Promise<StoredRole> {
  const [role] = await findRoles(knex, [name], where)
  return role!
}

/** Finds each role once. Throws `UNKNOWN_ROLE`, saying where it was named. */
export async function findRoles(knex: Knex, names: readonly string[], where: string): Promise<StoredRole[]> {
  const roles = await knex('roles').whereIn('name', names.filter(isStorable)).select<StoredRole[]>()
  const found = new Set(roles.map(role => role.name))
  for (const name of names) if (!found.has(name)) throw new UnknownRoleError(name, where)
  return roles
}
