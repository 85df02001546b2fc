import type { Knex } from 'knex'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createAuthorizer, type Authorizer } from '../../src/index.ts'
import { createRoleAdmin, objectionGrantStore, syncCatalog, type RoleAdmin } from '../../src/objection/index.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'

type Permission = (typeof permissions.names)[number]

let database: TestDatabase
let knex: Knex
let admin: RoleAdmin<Permission>
let authorizer: Authorizer<Permission>
let asking: string
let holder: string
let elsewhere: string
let manager: string
let root: string

beforeAll(async () => {
  database = await migratedDatabase()
  knex = database.knex
  admin = createRoleAdmin({ knex, permissions })
})

beforeEach(async () => {
  await knex.raw('truncate users, roles, permissions, separation_rules cascade')
  await syncCatalog(knex, permissions)
  await admin.createRole({ name: 'viewer', permissions: ['document:read'] })
  await admin.createRole({ name: 'editor', permissions: ['document:*'] })
  await admin.createRole({ name: 'chief', permissions: [], inherits: ['editor'] })
  await admin.createRole({ name: 'manager', permissions: ['user:manage'] })
  asking = await insertUser(knex)
  holder = await insertUser(knex)
  elsewhere = await insertUser(knex)
  manager = await insertUser(knex)
  root = await insertUser(knex, { is_superuser: true })
  const left = await insertUser(knex, { is_active: false })
  const former = await insertUser(knex)
  await admin.assign(asking, 'viewer')
  await admin.assign(holder, 'chief')
  await admin.assign(elsewhere, 'editor', { scope: 'team:7' })
  await admin.assign(manager, 'manager')
  await admin.assign(left, 'editor')
  await admin.assign(former, 'editor', { expiresAt: new Date(Date.now() - 1) })
  authorizer = createAuthorizer({
    permissions,
    store: objectionGrantStore({ knex }),
    maxStalenessMs: 30_000,
    administrativePermission: 'user:manage',
  })
})

afterEach(async () => {
  await authorizer.close()
})

afterAll(async () => {
  await database.close()
})

test('a denial names who may grant it: holders by any role, holders of the administrative permission, superusers', async () => {
  const why = await authorizer.explain(asking, 'document:update')
  expect(why.reason).toBe('not-granted')
  expect(new Set(why.wouldBeGrantedBy)).toEqual(new Set(['editor', 'chief']))
  expect(new Set(why.mayBeGrantedBy)).toEqual(new Set([holder, manager, root]))
})

test('who holds it in a scope may grant it there and nowhere else', async () => {
  const grantors = async (scope: string): Promise<Set<string>> =>
    new Set((await authorizer.explain(asking, 'document:update', { scope })).mayBeGrantedBy)
  expect(await grantors('team:7')).toEqual(new Set([holder, elsewhere, manager, root]))
  expect(await grantors('team:8')).toEqual(new Set([holder, manager, root]))
})

test('who may grant is who may: each one named can give the nearest role, and nobody else can', async () => {
  const guarded = createRoleAdmin({ knex, permissions, administrativePermission: 'user:manage' })
  const named = (await authorizer.explain(asking, 'document:update')).mayBeGrantedBy ?? []
  for (const grantedBy of [holder, elsewhere, manager, root]) {
    const given = guarded.assign(asking, 'editor', { grantedBy }).then(
      () => true,
      (error: unknown) => (error as { code: string }).code,
    )
    expect(await given).toBe(named.includes(grantedBy) ? true : 'GRANT_NOT_HELD')
    await admin.unassign(asking, 'editor').catch(() => undefined)
  }
})

test('an unknown user, and a permission that is granted, name nobody; an unknown permission is an error', async () => {
  const stranger = await authorizer.explain('00000000-0000-4000-8000-000000000000', 'document:update')
  expect(stranger).toMatchObject({ allowed: false, reason: 'unknown-subject' })
  expect(stranger).not.toHaveProperty('mayBeGrantedBy')
  expect(await authorizer.explain(asking, 'document:read')).not.toHaveProperty('mayBeGrantedBy')
  await expect(authorizer.explain(asking, 'documnet:update' as 'document:update')).rejects.toMatchObject({
    code: 'UNKNOWN_PERMISSION',
  })
})

test('the holders are one statement, and no more of them than asked for', async () => {
  const statements: unknown[] = []
  const listen = (query: unknown): void => {
    statements.push(query)
  }
  knex.on('query', listen)
  const holders = await objectionGrantStore({ knex }).loadHolders?.(['document:update', 'user:manage'], { limit: 2 })
  knex.off('query', listen)
  expect(statements).toHaveLength(1)
  expect(holders).toHaveLength(2)
})

test("an application's own table of users, without the flags, is asked for its holders", async () => {
  const store = objectionGrantStore({ knex, users: { table: 'users', isActive: false, isSuperuser: false } })
  const holders = await store.loadHolders?.(['document:update'], { limit: 10 })
  expect(holders).toContain(holder)
  expect(holders).not.toContain(root)
})
