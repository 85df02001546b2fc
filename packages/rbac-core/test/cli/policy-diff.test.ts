import { describe, expect, test } from 'vitest'
import { changesOf, diffLines, diffPolicies } from '../../src/objection/cli/policy-diff.ts'
import type { PolicyDefinition } from '../../src/objection/cli/policy-file.ts'

interface Given {
  permissions?: string[]
  roles?: Record<string, { permissions?: string[]; inherits?: string[]; isActive?: boolean }>
  rules?: { name: string; roles: string[] }[]
  inactive?: string[]
}

function policy({ permissions = ['doc:read', 'doc:edit'], roles = {}, rules = [], inactive = [] }: Given) {
  return {
    permissions,
    roles: Object.entries(roles).map(([name, role]) => {
      return { name, description: undefined, permissions: [], inherits: [], isActive: true, ...role }
    }),
    separationOfDuty: rules.map(rule => ({ kind: 'static' as const, atMost: 1, ...rule })),
    inactivePermissions: inactive,
  } satisfies PolicyDefinition
}

function compare(before: Given, after: Given): { lines: string[]; changes: string[] } {
  const diff = diffPolicies(policy(before), policy(after))
  const { gain, loss, any } = changesOf(diff)
  return {
    lines: diffLines(diff),
    changes: [gain && 'gain', loss && 'loss', any && 'any'].filter(name => name !== false),
  }
}

describe('a diff of two policies', () => {
  test('is empty for two ways to say the same', () => {
    const before = {
      roles: { a: { permissions: ['doc:*'] }, b: { inherits: ['a'] } },
      rules: [{ name: 'r', roles: ['a', 'b'] }],
    }
    const after = {
      permissions: ['doc:edit', 'doc:read'],
      roles: { b: { permissions: ['doc:read', 'doc:edit'] }, a: { permissions: ['*'] } },
      rules: [{ name: 'r', roles: ['b', 'a'] }],
    }
    expect(compare(before, after)).toEqual({ lines: [], changes: [] })
  })

  test('tells what a role gains through a role that it inherits', () => {
    const before = { roles: { a: { permissions: ['doc:read'] }, b: { inherits: ['a'] } } }
    const after = { roles: { a: { permissions: ['doc:read', 'doc:edit'] }, b: { inherits: ['a'] } } }
    expect(compare(before, after)).toEqual({
      lines: ['~ role a', '    + doc:edit', '~ role b', '    + doc:edit'],
      changes: ['gain', 'any'],
    })
  })

  test('tells what a wildcard gains when the catalog grows', () => {
    const roles = { a: { permissions: ['doc:*'] } }
    expect(compare({ roles }, { roles, permissions: ['doc:read', 'doc:edit', 'doc:drop'] })).toEqual({
      lines: ['+ permission doc:drop', '~ role a', '    + doc:drop'],
      changes: ['gain', 'any'],
    })
  })

  test('counts an inactive role, and a permission that is switched off, as nothing', () => {
    const roles = { a: { permissions: ['doc:read', 'doc:edit'] } }
    expect(compare({ roles }, { roles: { a: { ...roles.a, isActive: false } } })).toEqual({
      lines: ['~ role a', '    - doc:edit', '    - doc:read'],
      changes: ['loss', 'any'],
    })
    expect(compare({ roles, inactive: ['doc:edit'] }, { roles }).lines).toEqual(['~ role a', '    + doc:edit'])
  })

  test('tells of roles that come and go, and of what they grant', () => {
    expect(compare({ roles: { a: { permissions: ['doc:read'] } } }, { roles: { b: {} } })).toEqual({
      lines: ['- role a', '    - doc:read', '+ role b'],
      changes: ['loss', 'any'],
    })
  })

  test('counts a separation rule that goes as a gain, one that comes as a loss, and a changed one as both', () => {
    const roles = { a: {}, b: {}, c: {} }
    const rule = { name: 'four eyes', roles: ['a', 'b'] }
    expect(compare({ roles, rules: [rule] }, { roles })).toEqual({
      lines: ['- rule "four eyes"'],
      changes: ['gain', 'any'],
    })
    expect(compare({ roles }, { roles, rules: [rule] }).changes).toEqual(['loss', 'any'])
    expect(compare({ roles, rules: [rule] }, { roles, rules: [{ ...rule, roles: ['a', 'c'] }] })).toEqual({
      lines: ['~ rule "four eyes"'],
      changes: ['gain', 'loss', 'any'],
    })
  })

  test('compares with a policy that has no permissions at all', () => {
    const after = { roles: { a: { permissions: ['doc:read'] } } }
    expect(compare({ permissions: [], roles: { a: {} } }, after).lines).toEqual([
      '+ permission doc:edit',
      '+ permission doc:read',
      '~ role a',
      '    + doc:read',
    ])
  })
})
