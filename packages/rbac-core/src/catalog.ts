import { InvalidDefinitionError, UnknownPermissionError } from './errors.ts'

/** All permissions an application knows, each with a fixed index. */
export interface PermissionCatalog<Name extends string = string> {
  readonly names: readonly Name[]
  /** Tells whether the catalog has this permission. */
  has(name: string): name is Name
  /** Returns the index of a permission, or undefined for a name the catalog does not have. */
  find(name: string): number | undefined
  /** Returns the index of a permission. Throws `UNKNOWN_PERMISSION`. */
  indexOf(name: string): number
}

/** The union of the names in a catalog. */
export type PermissionName<Catalog> = Catalog extends PermissionCatalog<infer Name> ? Name : never

/** What a role may list: a permission, all actions of a resource (`document:*`), or everything (`*`). */
export type GrantName<Permission extends string> =
  Permission | '*' | (Permission extends `${infer Resource}:${string}` ? `${Resource}:*` : never)

type NamesOf<Resources> = {
  [Resource in keyof Resources & string]: Resources[Resource] extends readonly (infer Action extends string)[]
    ? `${Resource}:${Action}`
    : never
}[keyof Resources & string]

/**
 * Defines the permissions of an application, by resource and action.
 *
 * @param resources - The actions of each resource; together they name the permissions `resource:action`.
 * @returns The catalog, typed with the names.
 * @throws `INVALID_DEFINITION` for an empty, repeated or malformed name.
 * @example
 * ```ts
 * import { definePermissions, type PermissionName } from '@countersign/rbac-core'
 *
 * export const permissions = definePermissions({ document: ['read', 'publish'], user: ['manage'] })
 * export type Permission = PermissionName<typeof permissions>
 * ```
 */
export function definePermissions<const Resources extends Readonly<Record<string, readonly string[]>>>(
  resources: Resources,
): PermissionCatalog<NamesOf<Resources>> {
  const names: string[] = []
  for (const [resource, actions] of Object.entries(resources)) {
    if (!Array.isArray(actions))
      throw new InvalidDefinitionError(`permissions.${resource}`, 'expected a list of actions')
    for (const action of actions) names.push(`${resource}:${action}`)
  }
  return catalogOf(names as NamesOf<Resources>[])
}

/**
 * Makes a catalog of names that are only known at run time, for instance from a database.
 *
 * @param names - Permissions written `resource:action`; their order gives the indexes.
 * @returns The catalog.
 * @throws `INVALID_DEFINITION` for an empty, repeated or malformed name.
 */
export function catalogOf<Name extends string>(names: readonly Name[]): PermissionCatalog<Name> {
  const indexes = new Map<string, number>()
  for (const name of names) {
    checkName(name)
    if (indexes.has(name)) throw new InvalidDefinitionError(`permissions ${JSON.stringify(name)}`, 'is listed twice')
    indexes.set(name, indexes.size)
  }
  if (indexes.size === 0) throw new InvalidDefinitionError('permissions', 'expected at least one permission')
  return Object.freeze({
    names: Object.freeze([...names]),
    has: (name: string): name is Name => indexes.has(name),
    find: (name: string): number | undefined => indexes.get(name),
    indexOf: (name: string): number => {
      const index = indexes.get(name)
      if (index === undefined) throw new UnknownPermissionError(String(name))
      return index
    },
  })
}

const longestName = 200
const wellFormed = /^[^\s:*\p{C}]+:[^\s:*\p{C}]+$/u

function checkName(name: string): void {
  const refuse = (expected: string): never => {
    throw new InvalidDefinitionError(`permissions ${JSON.stringify(String(name).slice(0, longestName))}`, expected)
  }
  if (typeof name !== 'string' || !wellFormed.test(name)) {
    refuse('expected resource:action without spaces, control characters, ":" or "*"')
  }
  if (name.length > longestName) refuse(`is longer than ${longestName} characters`)
  // Two spellings of one visible name must not be two permissions.
  if (name.normalize('NFC') !== name) refuse('is not in Unicode normal form C')
}
