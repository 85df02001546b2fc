import { createGuards, definePermissions, definePolicy, runWithAccess } from '@countersign/rbac-core'
import { expect, test } from 'vitest'

const permissions = definePermissions({ document: ['update'] })
const policy = definePolicy(permissions, { roles: { editor: { permissions: ['document:update'] } } })
const { requirePermission } = createGuards(permissions)

class Vault {
  readonly #content = 'gold'

  @requirePermission('document:update')
  #open(): string {
    return this.#content
  }

  open(): string {
    return this.#open()
  }
}

test('a private method is guarded in standard mode', () => {
  expect(runWithAccess(policy.accessFor({ id: 'u', roles: ['editor'] }), () => new Vault().open())).toBe('gold')
  expect(() => runWithAccess(policy.accessFor({ id: 'u', roles: [] }), () => new Vault().open())).toThrow(
    expect.objectContaining({ code: 'PERMISSION_DENIED' }),
  )
})
