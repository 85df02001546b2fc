import {
  definePermissions,
  definePolicy,
  memoryGrantStore,
  SeparationOfDutyError,
  UnknownRoleError,
  violatedRules,
} from '@countersign/rbac-core'
import { describe, expect, test } from 'vitest'

const permissions = definePermissions({ payment: ['enter', 'approve', 'release', 'audit'] })
const policy = definePolicy(permissions, {
  roles: {
    clerk: { permissions: ['payment:enter'] },
    approver: { permissions: ['payment:approve'] },
    releaser: { permissions: ['payment:release'] },
    auditor: { permissions: ['payment:audit'] },
    senior: { inherits: ['clerk'] },
    manager: { inherits: ['clerk', 'approver'] },
    dormant: { permissions: ['payment:approve'], isActive: false },
  },
  separationOfDuty: [
    { name: 'two-person', kind: 'static', roles: ['clerk', 'approver'], atMost: 1 },
    { name: 'two-of-three', kind: 'static', roles: ['approver', 'releaser', 'auditor'], atMost: 2 },
    { name: 'dormant-too', kind: 'static', roles: ['clerk', 'dormant'], atMost: 1 },
    { name: 'one-hat', kind: 'dynamic', roles: ['clerk', 'auditor'], atMost: 1 },
  ],
})

describe('static rules', () => {
  test.each<[string, string[], string[]]>([
    ['one role of a rule', ['clerk'], []],
    ['a role twice', ['clerk', 'clerk'], []],
    ['two roles of which one is allowed', ['clerk', 'approver'], ['two-person']],
    ['a role inherited on one side', ['senior', 'approver'], ['two-person']],
    ['two roles inherited by one', ['manager'], ['two-person']],
    ['two roles of which two are allowed', ['approver', 'releaser'], []],
    ['three roles of which two are allowed', ['approver', 'releaser', 'auditor'], ['two-of-three']],
    ['an inactive role, which may come back', ['clerk', 'dormant'], ['dormant-too']],
    ['roles that a dynamic rule separates', ['clerk', 'auditor'], []],
    ['several rules at once', ['manager', 'releaser', 'auditor'], ['two-person', 'two-of-three']],
    ['roles that do not exist', ['clerk', 'boss'], []],
  ])('%s', (_what, roles, rules) => {
    expect(violatedRules(policy, roles, 'static').map(({ rule }) => rule.name)).toEqual(rules)
  })

  test('a violation names the roles that break the rule', () => {
    expect(violatedRules(policy, ['senior', 'approver', 'releaser'], 'static')[0]?.roles).toEqual(['clerk', 'approver'])
  })

  test('a store refuses an assignment that breaks a rule, whatever the scope', () => {
    const store = memoryGrantStore({ policy, assignments: { ann: ['clerk'] } })
    const assign = (): unknown => store.setSubject('ann', ['senior', { role: 'approver', scope: 'team:7' }])
    expect(assign).toThrow(SeparationOfDutyError)
    expect(assign).toThrow(
      expect.objectContaining({
        code: 'SEPARATION_OF_DUTY',
        rule: 'two-person',
        kind: 'static',
        roles: ['clerk', 'approver'],
        subjectId: 'ann',
      }),
    )
    expect(() => memoryGrantStore({ policy, assignments: { bob: ['manager'] } })).toThrow(SeparationOfDutyError)
  })

  test('after a refused assignment the subject has what it had', async () => {
    const store = memoryGrantStore({ policy, assignments: { ann: ['clerk'] } })
    expect(() => store.setSubject('ann', ['manager'])).toThrow(SeparationOfDutyError)
    expect((await store.loadSubject('ann'))?.assignments).toEqual([{ role: 'clerk' }])
  })
})

describe('dynamic rules', () => {
  test('both roles may be held, and one used at a time', () => {
    const roles = ['senior', 'auditor'] as const
    expect(policy.accessFor({ id: 'u', roles, activeRoles: ['auditor'] }).can('payment:audit')).toBe(true)
    expect(policy.accessFor({ id: 'u', roles, activeRoles: ['senior'] }).can('payment:enter')).toBe(true)
  })

  test.each([
    ['chosen together', ['senior', 'auditor']],
    ['used because none were chosen', undefined],
    ['one inherited by another', ['clerk', 'auditor']],
  ] as const)('roles %s are refused', (_what, activeRoles) => {
    const use = (): unknown => policy.accessFor({ id: 'u7', roles: ['senior', 'auditor'], activeRoles })
    expect(use).toThrow(
      expect.objectContaining({
        code: 'SEPARATION_OF_DUTY',
        rule: 'one-hat',
        kind: 'dynamic',
        roles: ['clerk', 'auditor'],
        subjectId: 'u7',
      }),
    )
  })

  test('an inactive role is not in use', () => {
    const other = definePolicy(permissions, {
      roles: { a: {}, b: { isActive: false } },
      separationOfDuty: [{ name: 'x', kind: 'dynamic', roles: ['a', 'b'], atMost: 1 }],
    })
    expect(other.accessFor({ id: 'u', roles: ['a', 'b'] }).hasRole('a')).toBe(true)
  })
})

describe('rules that cannot work are refused', () => {
  const roles = { a: {}, b: {} } as const
  test.each([
    ['no name', { name: '', kind: 'static', roles: ['a', 'b'], atMost: 1 }, 'separationOfDuty[0].name'],
    ['another kind', { name: 'x', kind: 'both', roles: ['a', 'b'], atMost: 1 }, 'separationOfDuty[0].kind'],
    ['none allowed', { name: 'x', kind: 'static', roles: ['a', 'b'], atMost: 0 }, 'separationOfDuty[0].atMost'],
    ['all allowed', { name: 'x', kind: 'static', roles: ['a', 'b'], atMost: 2 }, 'separationOfDuty[0].atMost'],
    ['one role twice', { name: 'x', kind: 'static', roles: ['a', 'a'], atMost: 1 }, 'separationOfDuty[0].atMost'],
    ['a fraction', { name: 'x', kind: 'static', roles: ['a', 'b'], atMost: 1.5 }, 'separationOfDuty[0].atMost'],
  ])('%s', (_what, rule, field) => {
    expect(() => definePolicy(permissions, { roles, separationOfDuty: [rule as never] })).toThrow(
      expect.objectContaining({ code: 'INVALID_DEFINITION', field }),
    )
  })

  test('a role that does not exist', () => {
    const rule = { name: 'x', kind: 'static', roles: ['a', 'c'], atMost: 1 }
    expect(() => definePolicy(permissions, { roles, separationOfDuty: [rule as never] })).toThrow(UnknownRoleError)
  })
})
