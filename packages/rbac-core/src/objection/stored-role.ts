import type { Knex } from 'knex'
import { UnknownRoleError } from '../errors.ts'

export interface StoredRole {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly is_system: boolean
  readonly updated_at: Date
}

export async function findRole(knex: Knex, name: string, where = 'The request'): Promise<StoredRole> {
  const role = await knex('roles').where({ name }).first<StoredRole | undefined>()
  if (!role) throw new UnknownRoleError(name, where)
  return role
}
