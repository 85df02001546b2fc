import {
  catalogOf,
  compilePolicy,
  createGuards,
  violatedRules,
  type Requirement,
  type RoleRecord,
} from '@countersign/rbac-core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Oracle, type OracleSubject } from './support/oracle.ts'

const resources = ['document', 'documents', 'user', '__proto__', 'a$$b']
const names = resources.flatMap(resource => ['read', 'write', 'constructor'].map(action => `${resource}:${action}`))
const catalog = catalogOf(names)
const grants = [...names, ...resources.map(resource => `${resource}:*`), '*', 'gone:read', 'gone:*']
const scopes = ['team:1', 'team:10', 'team:2', '']
const roleNames = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'constructor', '__proto__']

/** Roles that inherit only later ones, so that there is no circle. */
const roles: fc.Arbitrary<RoleRecord[]> = fc.tuple(
  ...roleNames.map((name, index) =>
    fc.record({
      name: fc.constant(name),
      permissions: fc.uniqueArray(fc.constantFrom(...grants), { maxLength: 4 }),
      inherits: fc.subarray([...roleNames.slice(index + 1, index + 5), 'gone']),
      isActive: fc.boolean().map(first => first || index % 3 !== 0),
    }),
  ),
)
const scope = fc.option(fc.constantFrom(...scopes), { nil: undefined })
const anyRole = fc.constantFrom(...roleNames, 'nobody', 'toString')
const subject: fc.Arbitrary<OracleSubject> = fc.record({
  assignments: fc.array(fc.record({ role: anyRole, scope }), { maxLength: 5 }),
  isActive: fc.nat(7).map(n => n > 0),
  isSuperuser: fc.nat(7).map(n => n === 0),
  activeRoles: fc.option(fc.uniqueArray(anyRole, { maxLength: 4 }), { nil: undefined }),
})
const inactivePermissions = fc.uniqueArray(fc.constantFrom(...grants), { maxLength: 3 })
const world = fc.record({ roles, subject, inactivePermissions })

function compile(given: { roles: RoleRecord[]; inactivePermissions: string[] }): ReturnType<typeof compilePolicy> {
  return compilePolicy(catalog, { version: 1, separationOfDuty: [], ...given })
}

function resolve(policy: ReturnType<typeof compilePolicy>, who: OracleSubject): ReturnType<typeof policy.accessFor> {
  return policy.accessFor({ id: 'u', ...who, roles: who.assignments })
}

test('every answer is the one that the plain rules give', () => {
  fc.assert(
    fc.property(world, given => {
      const oracle = new Oracle(given.roles, given.inactivePermissions)
      const access = resolve(compile(given), given.subject)
      for (const at of [undefined, ...scopes, 'nowhere']) {
        const held = names.filter(name => oracle.can(given.subject, name, at))
        expect(names.filter(name => access.can(name, { scope: at }))).toEqual(held)
        expect(names.filter(name => access.explain(name, { scope: at }).allowed)).toEqual(held)
        expect(access.canAll(names, { scope: at })).toBe(held.length === names.length)
        expect(access.canAny(names, { scope: at })).toBe(held.length > 0)
        const roles = roleNames.filter(name => oracle.hasRole(given.subject, name, at))
        expect(roleNames.filter(name => access.hasRole(name, { scope: at }))).toEqual(roles)
      }
    }),
    { numRuns: 2000 },
  )
})

test('a guard answers as the access does, also over a catalog in another order', () => {
  const here = createGuards(catalog)
  const reversed = createGuards(catalogOf([...names].reverse()))
  const guards = names.map(name => [name, here.requirePermission(name), reversed.requirePermission(name)] as const)
  fc.assert(
    fc.property(world, scope, (given, at) => {
      const access = resolve(compile(given), given.subject)
      for (const [name, guard, other] of guards) {
        expect(guard.allows(access, { scope: at })).toBe(access.can(name, { scope: at }))
        expect(other.allows(access, { scope: at })).toBe(access.can(name, { scope: at }))
      }
    }),
    { numRuns: 500 },
  )
})

test('a combined guard answers as its parts say, whatever the nesting', () => {
  const { requirement } = fc.letrec<{ requirement: Requirement }>(tie => ({
    requirement: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(...names),
      fc.record({ role: anyRole }),
      fc.record({ anyOf: fc.array(tie('requirement'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ allOf: fc.array(tie('requirement'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('requirement') }),
    ),
  }))
  fc.assert(
    fc.property(world, requirement, scope, (given, asked, at) => {
      const oracle = new Oracle(given.roles, given.inactivePermissions)
      const { subject } = given
      const passes = (part: Requirement): boolean => {
        if (typeof part === 'string') return oracle.can(subject, part, at)
        if ('role' in part) return oracle.hasRole(subject, part.role, at)
        if ('not' in part) return !passes(part.not)
        return 'anyOf' in part ? part.anyOf.some(passes) : part.allOf.every(passes)
      }
      const access = resolve(compile(given), subject)
      const expected = subject.isActive && (subject.isSuperuser || passes(asked))
      expect(createGuards(catalog).requireAccess(asked).allows(access, { scope: at })).toBe(expected)
    }),
    { numRuns: 2000 },
  )
})

test('a scope never leaks: without the roles of one scope, the answers in all others stay', () => {
  fc.assert(
    fc.property(world, fc.constantFrom(...scopes), (given, removed) => {
      const policy = compile(given)
      const before = resolve(policy, given.subject)
      const assignments = given.subject.assignments.filter(({ scope }) => scope !== removed)
      const after = resolve(policy, { ...given.subject, assignments })
      for (const at of [undefined, ...scopes.filter(other => other !== removed), 'nowhere']) {
        for (const name of names) expect(after.can(name, { scope: at })).toBe(before.can(name, { scope: at }))
      }
    }),
    { numRuns: 500 },
  )
})

test('scopesWith names exactly the scopes in which can says yes', () => {
  fc.assert(
    fc.property(world, fc.constantFrom(...names), (given, name) => {
      const access = resolve(compile(given), given.subject)
      const found = access.scopesWith(name)
      if (found.everywhere) expect(access.can(name)).toBe(true)
      else {
        expect(access.can(name)).toBe(false)
        expect([...found.scopes].sort()).toEqual(scopes.filter(at => access.can(name, { scope: at })).sort())
      }
    }),
    { numRuns: 500 },
  )
})

test('another role never takes a right away', () => {
  fc.assert(
    fc.property(world, anyRole, scope, (given, role, at) => {
      const policy = compile(given)
      const who = { ...given.subject, activeRoles: undefined }
      const before = resolve(policy, who)
      const after = resolve(policy, { ...who, assignments: [...who.assignments, { role, scope: at }] })
      for (const name of names.filter(name => before.can(name))) expect(after.can(name)).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('an explanation names roles of the subject that grant, ways that hold, and roles that would help', () => {
  fc.assert(
    fc.property(world, fc.constantFrom(...names), scope, (given, name, at) => {
      const oracle = new Oracle(given.roles, given.inactivePermissions)
      const policy = compile(given)
      const {
        allowed,
        reason,
        grantedBy,
        wouldBeGrantedBy,
        paths = [],
      } = resolve(policy, given.subject).explain(name, {
        scope: at,
      })
      for (const role of grantedBy) expect(oracle.grants(role, name)).toBe(true)
      if (reason === 'granted') expect(grantedBy.length).toBeGreaterThan(0)
      for (const path of paths) {
        path.slice(1).forEach((role, index) => {
          expect(given.roles.find(({ name }) => name === path[index])?.inherits).toContain(role)
        })
        const last = given.roles.find(({ name }) => name === path.at(-1))
        expect(last && oracle.lists(last, name)).toBe(true)
      }
      if (!allowed && given.subject.isActive) {
        const helpful = roleNames.filter(role => oracle.grants(role, name))
        expect([...wouldBeGrantedBy].sort()).toEqual([...helpful].sort())
      }
    }),
    { numRuns: 1000 },
  )
})

test('the review functions agree with the plain rules', () => {
  fc.assert(
    fc.property(world, given => {
      const oracle = new Oracle(given.roles, given.inactivePermissions)
      const policy = compile(given)
      for (const role of roleNames) {
        expect(policy.permissionsOf(role)).toEqual(names.filter(name => oracle.grants(role, name)))
      }
      for (const name of names) {
        expect(policy.rolesWith(name)).toEqual(roleNames.filter(role => oracle.grants(role, name)))
      }
    }),
    { numRuns: 300 },
  )
})

test('a static rule is broken exactly when too many of its roles are held or inherited', () => {
  const rule = fc.record({ roles: fc.subarray(roleNames, { minLength: 2 }), atMost: fc.integer({ min: 1, max: 3 }) })
  fc.assert(
    fc.property(roles, rule, fc.array(anyRole, { maxLength: 4 }), (given, { roles, atMost }, held) => {
      const separationOfDuty = [{ name: 'x', kind: 'static' as const, roles, atMost }]
      const policy = compilePolicy(catalog, { version: 1, roles: given, separationOfDuty, inactivePermissions: [] })
      const all = new Oracle(
        given.map(role => ({ ...role, isActive: true })),
        [],
      )
      const reached = new Set(held.flatMap(name => all.effective(name)).map(({ name }) => name))
      const broken = roles.filter(name => reached.has(name))
      const expected = broken.length > atMost ? [broken] : []
      expect(violatedRules(policy, held, 'static').map(({ roles }) => roles)).toEqual(expected)
    }),
    { numRuns: 500 },
  )
})
