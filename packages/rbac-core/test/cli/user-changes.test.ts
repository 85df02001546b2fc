import { expect, test } from 'vitest'
import type { PolicyDefinition } from '../../src/objection/cli/policy-file.ts'
import { userChanges } from '../../src/objection/cli/user-changes.ts'

function policy(roles: Record<string, string[]>): PolicyDefinition {
  return {
    permissions: ['doc:read', 'doc:edit'],
    roles: Object.entries(roles).map(([name, permissions]) => {
      return { name, permissions, inherits: [], isActive: true, description: undefined }
    }),
    separationOfDuty: [],
    inactivePermissions: [],
  }
}

test('counts the users who gain and lose, and not those who have it from another role all the same', () => {
  const before = policy({ reader: ['doc:read'], editor: ['doc:edit', 'doc:read'], guest: [] })
  const after = policy({ reader: ['doc:read'], editor: ['doc:edit'], guest: ['doc:read'] })
  const lines = userChanges(before, after, [
    { assignments: [['editor', null]], users: 3 },
    {
      assignments: [
        ['editor', null],
        ['reader', null],
      ],
      users: 50,
    },
    { assignments: [['guest', 'team:7']], users: 2 },
    {
      assignments: [
        ['guest', 'team:7'],
        ['reader', null],
      ],
      users: 70,
    },
  ])
  expect(lines).toEqual(['users who gain: 2, who lose: 3', '    doc:read: 2 gain, 3 lose'])
})

test('counts a right that holds in fewer or other scopes than before', () => {
  const before = policy({ a: ['doc:read'], b: [] })
  const after = policy({ a: [], b: ['doc:read'] })
  const lines = userChanges(before, after, [
    {
      assignments: [
        ['a', null],
        ['b', 't:1'],
      ],
      users: 1,
    },
    {
      assignments: [
        ['a', 't:1'],
        ['b', null],
      ],
      users: 10,
    },
    {
      assignments: [
        ['a', 't:1'],
        ['b', 't:2'],
      ],
      users: 100,
    },
    {
      assignments: [
        ['a', 't:1'],
        ['b', 't:1'],
      ],
      users: 1000,
    },
  ])
  expect(lines[0]).toBe('users who gain: 110, who lose: 101')
})

test('counts a role that is gone as nothing', () => {
  const lines = userChanges(policy({ a: ['doc:read'] }), policy({}), [{ assignments: [['a', null]], users: 4 }])
  expect(lines).toEqual(['users who gain: 0, who lose: 4', '    doc:read: 0 gain, 4 lose'])
})
