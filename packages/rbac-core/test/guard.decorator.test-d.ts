import { createGuards, definePermissions, type Access } from '@countersign/rbac-core'
import { assertType, expectTypeOf, test } from 'vitest'

const permissions = definePermissions({ document: ['read', 'publish'] })
const { requireAccess, requireAllPermissions, requireAnyPermission, requirePermission, requireRole } =
  createGuards(permissions)

class Documents {
  @requirePermission('document:read')
  rename(id: string, title?: string): { id: string; title: string | undefined } {
    return { id, title }
  }

  @requireRole('editor')
  async save<Value extends { id: string }>(value: Value): Promise<Value> {
    return value
  }

  @requireAnyPermission(['document:read', 'document:publish'])
  get title(): string {
    return this.constructor.name
  }

  @requireAccess({ allOf: ['document:read', { anyOf: [{ role: 'a' }, { not: 'document:publish' }] }] })
  static create(this: typeof Documents, id: number): Documents {
    return id > 0 ? new this() : new Documents()
  }

  // @ts-expect-error a field cannot be guarded
  @requirePermission('document:read')
  field = 1
}

// @ts-expect-error a class cannot be guarded
@requirePermission('document:read')
class Whole {}

test('guarded members keep their types', () => {
  const documents = new Documents()
  expectTypeOf(documents.rename).toEqualTypeOf<
    (id: string, title?: string) => { id: string; title: string | undefined }
  >()
  expectTypeOf(documents.save({ id: '1', size: 2 })).toEqualTypeOf<Promise<{ id: string; size: number }>>()
  expectTypeOf(documents.title).toEqualTypeOf<string>()
  expectTypeOf(Documents.create(1)).toEqualTypeOf<Documents>()
  assertType(Whole)
})

test('names are checked', () => {
  // @ts-expect-error a misspelt permission
  requirePermission('documnet:read')
  // @ts-expect-error a wildcard cannot be required
  requirePermission('document:*')
  // @ts-expect-error a misspelt permission in a list
  requireAnyPermission(['document:read', 'document:raed'])
  // @ts-expect-error a misspelt permission in a list
  requireAllPermissions(['document:raed'])
  // @ts-expect-error a misspelt permission deep inside
  requireAccess({ allOf: ['document:read', { not: { anyOf: ['document:raed'] } }] })
  // @ts-expect-error a key that is none
  requireAccess({ oneOf: ['document:read'] })
})

test('wrap keeps the type of a function', () => {
  const guarded = requirePermission('document:read').wrap(async <Value>(value: Value, times = 1) => ({ value, times }))
  expectTypeOf(guarded(true as const)).toEqualTypeOf<Promise<{ value: true; times: number }>>()
  // @ts-expect-error the arguments are checked as before
  assertType(guarded(1, 'twice'))
  // @ts-expect-error only functions can be wrapped
  requirePermission('document:read').wrap({})
})

test('a scope function gives a string at once', () => {
  requirePermission('document:read', { scope: (team: string) => `team:${team}` })
  requirePermission('document:read', { scope: undefined })
  // @ts-expect-error a promise is no scope
  requirePermission('document:read', { scope: async () => 'a' })
})

test('allows answers with a boolean', () => {
  const access = {} as Access
  expectTypeOf(requirePermission('document:read').allows(access)).toEqualTypeOf<boolean>()
  // @ts-expect-error an access that is not awaited is none
  requirePermission('document:read').allows(Promise.resolve(access))
})
