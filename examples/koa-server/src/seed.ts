import { syncCatalog, type RoleAdmin } from '@countersign/rbac-core/objection'
import type { Knex } from 'knex'
import { randomBytes } from 'node:crypto'
import { hashPassword } from './password.ts'
import { firstRoles, permissions } from './permissions.ts'

/** The sign-in of a new installation's administrator; `password` is set when it was made up and is not kept. */
export interface FirstAdministrator {
  readonly username: string
  readonly password: string | undefined
}

/** Gives an empty database its roles and one administrator; one of several processes that start together does it. */
export async function seed(
  knex: Knex,
  roles: RoleAdmin,
  givenPassword: string | undefined,
): Promise<FirstAdministrator | undefined> {
  await syncCatalog(knex, permissions)
  return knex.transaction(async transaction => {
    await transaction.raw(`select pg_advisory_xact_lock(hashtext('koa-server seed'))`)
    if (await transaction('users').first('id')) return undefined

    for (const role of firstRoles) await roles.createRole(role, { transaction })
    const password = givenPassword ?? randomBytes(18).toString('base64url')
    const user = {
      username: 'admin',
      email: 'admin@localhost',
      password_hash: await hashPassword(password),
      is_staff: true,
    }
    const [row] = await transaction('users').insert(user).returning<{ id: string }[]>('id')
    if (!row) throw new Error('the administrator was not stored')
    await roles.assign(row.id, 'administrator', { reason: 'first administrator', transaction })
    return { username: user.username, password: givenPassword === undefined ? password : undefined }
  })
}
