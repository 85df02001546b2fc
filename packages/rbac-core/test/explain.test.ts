import { definePermissions, definePolicy } from '@countersign/rbac-core'
import { expect, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'create', 'publish', 'delete'], user: ['manage'] })
const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:create'] },
    chief: { inherits: ['editor'] },
    admin: { permissions: ['*'] },
    publisher: { inherits: ['viewer'], permissions: ['document:publish'] },
    retired: { permissions: ['document:delete'], isActive: false },
  },
  separationOfDuty: [{ name: 'four-eyes', kind: 'static', roles: ['editor', 'publisher'], atMost: 1 }],
})

test('a grant names the roles of the subject that give it, each with the way to the permission', () => {
  expect(policy.accessFor({ id: 'u', roles: ['chief', 'admin'] }).explain('document:read')).toEqual({
    allowed: true,
    permission: 'document:read',
    reason: 'granted',
    grantedBy: ['chief', 'admin'],
    wouldBeGrantedBy: [],
    paths: [['chief', 'editor', 'viewer'], ['admin']],
  })
})

test('a grant in a scope names the role of that scope and not of another', () => {
  const access = policy.accessFor({
    id: 'u',
    roles: [
      { role: 'admin', scope: 'team:1' },
      { role: 'viewer', scope: 'team:2' },
    ],
  })
  expect(access.explain('document:read', { scope: 'team:2' })).toMatchObject({
    scope: 'team:2',
    reason: 'granted',
    grantedBy: ['viewer'],
  })
})

test('a superuser passes as such, and the roles that grant it anyway are named', () => {
  expect(policy.accessFor({ id: 'u', roles: ['viewer'], isSuperuser: true }).explain('document:read')).toMatchObject({
    allowed: true,
    reason: 'superuser',
    grantedBy: ['viewer'],
  })
  expect(policy.accessFor({ id: 'u', roles: [], isSuperuser: true }).explain('user:manage')).toMatchObject({
    allowed: true,
    reason: 'superuser',
    grantedBy: [],
  })
})

test('a denial lists the roles that would grant it, the one that adds the fewest permissions first', () => {
  const denial = policy.accessFor({ id: 'u', roles: ['viewer'] }).explain('document:publish')
  expect(denial).toEqual({
    allowed: false,
    permission: 'document:publish',
    reason: 'not-granted',
    grantedBy: [],
    wouldBeGrantedBy: ['publisher', 'admin'],
  })
})

test('a denial names the separation rule that forbids a role which would grant it', () => {
  expect(policy.accessFor({ id: 'u', roles: ['chief'] }).explain('document:publish')).toMatchObject({
    wouldBeGrantedBy: ['publisher', 'admin'],
    inTheWay: [{ kind: 'separation', role: 'publisher', rule: 'four-eyes', roles: ['editor'] }],
  })
})

test('a rule that the subject breaks already is not in the way of yet another role', () => {
  const access = policy.accessFor({ id: 'u', roles: ['editor', 'publisher'] })
  expect(access.explain('document:delete')).not.toHaveProperty('inTheWay')
})

test('a denial names the scopes in which the permission is held', () => {
  const access = policy.accessFor({ id: 'u', roles: [{ role: 'publisher', scope: 'team:7' }] })
  const expected = {
    reason: 'other-scope',
    inTheWay: [{ kind: 'scope', role: 'publisher', scope: 'team:7' }],
  }
  expect(access.explain('document:publish')).toMatchObject(expected)
  expect(access.explain('document:publish', { scope: 'team:8' })).toMatchObject({ ...expected, scope: 'team:8' })
})

test('a denial names the inactive role that would give it', () => {
  expect(policy.accessFor({ id: 'u', roles: ['retired'] }).explain('document:delete')).toMatchObject({
    reason: 'not-granted',
    wouldBeGrantedBy: ['admin'],
    inTheWay: [{ kind: 'inactive-role', role: 'retired' }],
  })
})

test('a denial names the held role that is not in use', () => {
  const access = policy.accessFor({ id: 'u', roles: ['editor', 'admin'], activeRoles: ['editor'] })
  expect(access.explain('user:manage')).toMatchObject({
    reason: 'not-granted',
    inTheWay: [{ kind: 'not-activated', role: 'admin' }],
  })
})

test('a denial of an inactive subject says so and offers no roles', () => {
  expect(policy.accessFor({ id: 'u', roles: ['admin'], isActive: false }).explain('user:manage')).toEqual({
    allowed: false,
    permission: 'user:manage',
    reason: 'inactive-subject',
    grantedBy: [],
    wouldBeGrantedBy: [],
  })
})
