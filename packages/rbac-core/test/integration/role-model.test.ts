import fc from 'fast-check'
import type { Knex } from 'knex'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRoleAdmin, objectionGrantStore, syncCatalog } from '../../src/objection/index.ts'
import { insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'
import * as model from './role-model.ts'

let database: TestDatabase
let knex: Knex

beforeAll(async () => {
  database = await migratedDatabase()
  knex = database.knex
})

afterAll(async () => {
  await database.close()
})

const role = fc.constantFrom('a', 'b', 'c', 'd')
const roles = fc.uniqueArray(role, { maxLength: 2 })
const grants = fc.uniqueArray(fc.constantFrom('document:read', 'user:read', 'document:*', '*'), { maxLength: 2 })
const user = fc.nat(1)
const scope = fc.constantFrom(undefined, 'team:7')
const rule = fc.constantFrom('r1', 'r2')

const operation: fc.Arbitrary<model.Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(role, grants, roles).map(args => model.create(...args)) },
  fc.tuple(role, role).map(args => model.rename(...args)),
  role.map(model.remove),
  fc.tuple(role, role).map(args => model.clone(...args)),
  fc.tuple(role, grants).map(args => model.grant(...args)),
  fc.tuple(role, grants).map(args => model.revoke(...args)),
  { weight: 3, arbitrary: fc.tuple(role, roles).map(args => model.inherit(...args)) },
  fc.tuple(role, fc.boolean()).map(args => model.activate(...args)),
  { weight: 4, arbitrary: fc.tuple(user, role, scope).map(args => model.assign(...args)) },
  fc.tuple(user, role, scope).map(args => model.unassign(...args)),
  { weight: 2, arbitrary: fc.tuple(rule, fc.uniqueArray(role, { minLength: 2 })).map(args => model.addRule(...args)) },
  rule.map(model.removeRule),
)

async function stored(users: readonly string[]): Promise<unknown> {
  const store = objectionGrantStore({ knex })
  const { roles, separationOfDuty } = await store.loadPolicy()
  const subjects = await Promise.all(users.map(id => store.loadSubject(id)))
  return {
    roles: roles.map(({ permissions, inherits, ...rest }) => ({
      ...rest,
      permissions: [...permissions].sort(),
      inherits: [...inherits].sort(),
    })),
    rules: separationOfDuty.map(({ name, roles, atMost }) => ({ name, roles: [...roles].sort(), atMost })),
    assignments: subjects.map(subject => sortedKeys(subject?.assignments ?? [])),
  }
}

function expected({ roles, rules, assignments }: model.State): unknown {
  return {
    roles: sortedByName(roles).map(([name, value]) => ({
      name,
      isActive: value.isActive,
      permissions: [...value.permissions].sort(),
      inherits: [...value.inherits].sort(),
    })),
    rules: sortedByName(rules).map(([name, value]) => ({ name, roles: [...value.roles].sort(), atMost: value.atMost })),
    assignments: assignments.map(held => sortedKeys(held.filter(one => roles.get(one.role)?.isActive))),
  }
}

const sortedByName = <Value>(map: Map<string, Value>): [string, Value][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1))

const sortedKeys = (held: readonly { role: string; scope?: string | undefined }[]): string[] =>
  held.map(one => `${one.role} ${one.scope ?? 'everywhere'}`).sort()

test('any sequence of operations leaves what the model says, or fails as it says', async () => {
  const admin = createRoleAdmin<string>({ knex, permissions })
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 30 }), async operations => {
      await knex.raw('truncate users, roles, permissions, separation_rules cascade')
      await syncCatalog(knex, permissions)
      const users = [await insertUser(knex), await insertUser(knex)]
      let state: model.State = { roles: new Map(), rules: new Map(), assignments: [[], []] }
      for (const next of operations) {
        const plan = model.planned(state, next)
        const outcome = await next.run(admin, users).then(
          () => 'done',
          (error: unknown) => (error as { code?: string }).code,
        )
        expect(`${next.title}: ${String(outcome)}`).toBe(`${next.title}: ${typeof plan === 'string' ? plan : 'done'}`)
        if (typeof plan !== 'string') state = plan
      }
      expect(await stored(users)).toEqual(expected(state))
    }),
    { numRuns: 40 },
  )
})

test('administrators who work at the same time, in transactions of several steps, break no rule and never deadlock', async () => {
  const admin = createRoleAdmin<string>({ knex, permissions })
  const known = new Set(['ROLE_EXISTS', 'UNKNOWN_ROLE', 'ROLE_CYCLE', 'SEPARATION_OF_DUTY', 'INVALID_DEFINITION'])
  const steps = fc.array(operation, { minLength: 1, maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 12 }), async transactions => {
      await knex.raw('truncate users, roles, permissions, separation_rules cascade')
      await syncCatalog(knex, permissions)
      const users = [await insertUser(knex), await insertUser(knex)]
      for (const name of ['a', 'b', 'c', 'd']) await admin.createRole({ name, permissions: [] })
      await admin.addSeparationRule({ name: 'r1', kind: 'static', roles: ['a', 'b'], atMost: 1 })
      const codes = await Promise.all(
        transactions.map((operations, number) =>
          knex.transaction(async transaction => {
            const failed: unknown[] = []
            // The order in which an administration page writes: the user's row, then the roles.
            await transaction('users')
              .where({ id: users[number % 2] })
              .update({ last_login: new Date() })
            for (const next of operations) {
              await next.run(admin, users, transaction).catch((error: unknown) => failed.push(error))
            }
            return failed
          }),
        ),
      )
      for (const error of codes.flat()) expect(known).toContain((error as { code?: string }).code)
      expect(model.faultOf(await storedState(users))).toBeUndefined()
    }),
    { numRuns: 25 },
  )
})

async function storedState(users: readonly string[]): Promise<model.State> {
  const store = objectionGrantStore({ knex })
  const { roles, separationOfDuty } = await store.loadPolicy()
  const admin = createRoleAdmin<string>({ knex, permissions })
  const assignments = await Promise.all(users.map(id => admin.rolesOf(id)))
  return {
    roles: new Map(
      roles.map(({ name, permissions, inherits, isActive }) => [
        name,
        { permissions: new Set(permissions), inherits: new Set(inherits), isActive },
      ]),
    ),
    rules: new Map(separationOfDuty.map(({ name, roles, atMost }) => [name, { roles: [...roles], atMost }])),
    assignments: assignments.map(held => held.map(one => ({ role: one.role, scope: one.scope ?? undefined }))),
  }
}
