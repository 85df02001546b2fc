import type { Knex } from 'knex'
import { expectTypeOf, test } from 'vitest'
import { definePermissions, type GrantStore } from '../../src/index.ts'
import { createRoleAdmin, migrations, objectionGrantStore } from '../../src/objection/index.ts'

const permissions = definePermissions({ document: ['read', 'publish'], user: ['manage'] })
declare const knex: Knex
declare const transaction: Knex.Transaction
declare const never: () => void

test('permissions are checked by the compiler', () => {
  const admin = createRoleAdmin({ knex, permissions, administrativePermission: 'user:manage' })
  expectTypeOf(
    admin.createRole({ name: 'a', permissions: ['document:read', 'document:*', '*'], inherits: [] }, { transaction }),
  ).resolves.toBeNumber()
  // @ts-expect-error a misspelt permission
  admin.createRole({ name: 'a', permissions: ['documnet:read'] }).catch(never)
  // @ts-expect-error a wildcard of a resource that does not exist
  admin.grant('a', ['documnet:*']).catch(never)
  // @ts-expect-error one cannot ask for a wildcard
  admin.usersWith('document:*').catch(never)
  // @ts-expect-error a misspelt permission
  createRoleAdmin({ knex, permissions, administrativePermission: 'user:mange' })
  expectTypeOf(admin.permissionsOfRole('a')).resolves.items.toEqualTypeOf<
    'document:read' | 'document:publish' | 'user:manage'
  >()
})

test('the doors fit what they are for', () => {
  expectTypeOf(objectionGrantStore({ knex })).toEqualTypeOf<GrantStore>()
  expectTypeOf(migrations({ users: true })).toExtend<Knex.MigratorConfig>()
  migrations({ users: { table: 'accounts', id: 'account_id', isActive: 'enabled', isSuperuser: false } })
  // @ts-expect-error no table
  migrations({ users: { id: 'account_id' } })
})
