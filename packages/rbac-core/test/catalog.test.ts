import { catalogOf, definePermissions, InvalidDefinitionError, UnknownPermissionError } from '@countersign/rbac-core'
import { expect, test } from 'vitest'

test('a catalog names each action of each resource, in the order given', () => {
  const permissions = definePermissions({ document: ['read', 'publish'], user: ['manage'] })
  expect(permissions.names).toEqual(['document:read', 'document:publish', 'user:manage'])
  expect(permissions.names.map(name => permissions.indexOf(name))).toEqual([0, 1, 2])
})

test('a catalog cannot be changed', () => {
  const permissions = definePermissions({ document: ['read'] })
  expect(() => (permissions.names as string[]).push('document:delete')).toThrow(TypeError)
  expect(() => Object.assign(permissions, { has: () => true })).toThrow(TypeError)
})

test.each(['constructor', '__proto__', 'toString', 'a$$b', 'ünïcode', '文書', 'a.b', 'a/b', 'x'.repeat(99)])(
  'a resource and an action may be named %j',
  name => {
    const permissions = catalogOf([`${name}:${name}`, 'document:read'])
    expect(permissions.indexOf(`${name}:${name}`)).toBe(0)
    expect(permissions.has(name)).toBe(false)
  },
)

test.each([
  ['an empty resource', ':read'],
  ['an empty action', 'document:'],
  ['no action', 'document'],
  ['three parts', 'a:b:c'],
  ['a wildcard', 'document:*'],
  ['a wildcard inside', 'document:re*d'],
  ['a space', 'document:read all'],
  ['a line break', 'document:read\n'],
  ['a control character', 'document:re\u0000ad'],
  ['an invisible character', 'document:re\u200bad'],
  ['201 characters', `document:${'x'.repeat(192)}`],
  ['10,000 characters', `document:${'x'.repeat(10_000)}`],
  ['a second spelling of a character', 'document:re\u0301ad'],
])('a name with %s is refused', (_what, name) => {
  expect(() => catalogOf([name])).toThrow(InvalidDefinitionError)
})

test('a name listed twice, an empty catalog and a list that is none are refused', () => {
  expect(() => catalogOf(['a:b', 'a:b'])).toThrow(/listed twice/)
  expect(() => definePermissions({})).toThrow(/at least one/)
  expect(() => definePermissions({ document: 'read' as never })).toThrow(/permissions\.document: expected a list/)
})

test.each(['document:reed', 'document:*', '*', '', 'constructor', '__proto__', 'document', 'dосument:read'])(
  'asking for the index of %j throws UNKNOWN_PERMISSION',
  name => {
    const permissions = definePermissions({ document: ['read'] })
    expect(permissions.has(name)).toBe(false)
    expect(() => permissions.indexOf(name)).toThrow(UnknownPermissionError)
  },
)

test('the error for an unknown permission of 10,000 characters stays short', () => {
  const permissions = definePermissions({ document: ['read'] })
  const ask = (): number => permissions.indexOf('x'.repeat(10_000))
  expect(ask).toThrow(expect.objectContaining({ code: 'UNKNOWN_PERMISSION' }))
  expect(ask).toThrow(/^.{1,200}$/)
})
