import { createGuards, definePermissions, definePolicy, runWithAccess, type Decision } from '@countersign/rbac-core'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, expect, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'update'], user: ['manage'] })
const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:update'] },
  },
})
const { requireAccess, requirePermission, requireRole } = createGuards(permissions)
const editor = policy.accessFor({ id: 'ann', roles: ['editor'] })

let heard: Decision[] = []
const listen = (message: unknown): void => {
  heard.push(message as Decision)
}
beforeEach(() => {
  heard = []
  subscribe('countersign.rbac-core.decision', listen)
})
afterEach(() => {
  unsubscribe('countersign.rbac-core.decision', listen)
})

function outcome(run: () => unknown): string {
  try {
    run()
    return 'done'
  } catch (error) {
    return (error as { code: string }).code
  }
}

const facts = { subjectId: 'ann', policyVersion: 0, scope: undefined }
const root = policy.accessFor({ id: 'ann', roles: [], isSuperuser: true })
const off = policy.accessFor({ id: 'ann', roles: ['editor'], isActive: false })
const scoped = policy.accessFor({ id: 'ann', roles: [{ role: 'editor', scope: 'a' }] })
const read = requirePermission('document:read')
const update = requirePermission('document:update')
const either = requireAccess({ anyOf: ['user:manage', 'document:update'] })

test.each<[string, () => unknown, string, Decision]>([
  [
    'a grant, with the role that gave it',
    () => read.enforce(editor),
    'done',
    { allowed: true, permission: 'document:read', reason: 'granted', grantedBy: ['editor'], ...facts },
  ],
  [
    'a denial',
    () => requirePermission('user:manage').enforce(editor),
    'PERMISSION_DENIED',
    { allowed: false, permission: 'user:manage', reason: 'not-granted', grantedBy: [], ...facts },
  ],
  [
    'a grant by a combination',
    () => either.enforce(editor),
    'done',
    {
      allowed: true,
      permission: 'any of (user:manage, document:update)',
      reason: 'granted',
      grantedBy: ['editor'],
      ...facts,
    },
  ],
  [
    'the pass of a superuser',
    () => requireRole('editor').enforce(root),
    'done',
    { allowed: true, permission: 'role editor', reason: 'superuser', grantedBy: [], ...facts },
  ],
  [
    'the denial of an inactive subject',
    () => requireRole('editor').enforce(off),
    'PERMISSION_DENIED',
    { allowed: false, permission: 'role editor', reason: 'inactive-subject', grantedBy: [], ...facts },
  ],
  [
    'a denial in another scope',
    () => update.enforce(scoped, { scope: 'b' }),
    'PERMISSION_DENIED',
    { allowed: false, permission: 'document:update', reason: 'other-scope', grantedBy: [], ...facts, scope: 'b' },
  ],
  [
    'a grant in a scope',
    () => update.enforce(scoped, { scope: 'a' }),
    'done',
    { allowed: true, permission: 'document:update', reason: 'granted', grantedBy: ['editor'], ...facts, scope: 'a' },
  ],
  [
    'a call without an access',
    () => read.enforce(undefined),
    'UNAUTHENTICATED',
    { allowed: false, permission: 'document:read', reason: 'unauthenticated', scope: undefined },
  ],
  [
    'a guarded call',
    () =>
      runWithAccess(
        editor,
        read.wrap(() => 1),
      ),
    'done',
    { allowed: true, permission: 'document:read', reason: 'granted', grantedBy: ['editor'], ...facts },
  ],
  [
    'an assert',
    () => editor.assert('user:manage'),
    'PERMISSION_DENIED',
    { allowed: false, permission: 'user:manage', reason: 'not-granted', grantedBy: [], ...facts },
  ],
  [
    'an assert that passes',
    () => editor.assert('document:update'),
    'done',
    { allowed: true, permission: 'document:update', reason: 'granted', grantedBy: ['editor'], ...facts },
  ],
])('the channel hears once of %s', (_what, run, code, decision) => {
  expect(outcome(run)).toBe(code)
  expect(heard).toEqual([decision])
  expect(JSON.parse(JSON.stringify(heard[0]))).toMatchObject({ allowed: decision.allowed })
})

test('the channel hears of a scope that could not be told', () => {
  const guarded = requirePermission('document:read', { scope: () => undefined as never }).wrap(() => 1)
  expect(outcome(() => runWithAccess(editor, guarded))).toBe('PERMISSION_DENIED')
  expect(heard).toEqual([
    { allowed: false, permission: 'document:read', reason: 'scope-failed', subjectId: 'ann', policyVersion: 0 },
  ])
})

test('a question is not a decision', () => {
  editor.can('document:read')
  editor.canAny(['user:manage'])
  editor.explain('user:manage')
  read.allows(editor)
  read.allows(off)
  expect(heard).toEqual([])
})
