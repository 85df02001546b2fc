import { catalogOf } from '../../catalog.ts'
import { InvalidDefinitionError } from '../../errors.ts'
import type { RoleRecord, SeparationRule } from '../../grant-store.ts'
import { compilePolicy, type Policy } from '../../policy.ts'
import { InputError } from './input-error.ts'
import { flag, list, members, only, text, texts, wrong } from './shape.ts'
import type { Path, SourceFile } from './source-file.ts'

/** A role with its description; a file need not have one. */
export interface DescribedRole extends RoleRecord {
  readonly description: string | undefined
}

/** A policy, from a file or from the database. */
export interface PolicyDefinition {
  readonly permissions: readonly string[]
  readonly roles: readonly DescribedRole[]
  readonly separationOfDuty: readonly SeparationRule[]
  /** Permissions and wildcards that are switched off, which only a database can say. */
  readonly inactivePermissions: readonly string[]
}

/** A policy file with the places of its permissions. */
export interface PolicyFile extends PolicyDefinition {
  readonly source: SourceFile
  readonly permissionPaths: ReadonlyMap<string, Path>
}

/** Compiles a policy; one without any permission has none to ask for. */
export function compiled(definition: PolicyDefinition): Policy | undefined {
  if (definition.permissions.length === 0) return undefined
  return compilePolicy(catalogOf(definition.permissions), { version: 0, ...definition })
}

/** Reads the shape of a policy; whether its names fit together is another question. */
export function policyOf(source: SourceFile): PolicyFile {
  const file = members(source, [])
  only(source, [], ['permissions', 'roles', 'separationOfDuty'])
  const permissionPaths = permissionsOf(source)
  return {
    source,
    permissionPaths,
    permissions: [...permissionPaths.keys()],
    roles: file.has('roles') ? [...members(source, ['roles']).keys()].map(name => roleOf(source, name)) : [],
    separationOfDuty: file.has('separationOfDuty')
      ? list(source, ['separationOfDuty']).map((_, index) => ruleOf(source, ['separationOfDuty', index]))
      : [],
    inactivePermissions: [],
  }
}

/** Names are a list, or the actions by resource as `definePermissions` takes them. */
function permissionsOf(source: SourceFile): Map<string, Path> {
  const found = new Map<string, Path>()
  const add = (name: string, path: Path): void => {
    if (found.has(name))
      throw new InputError([source.at(path, `the permission ${JSON.stringify(name)} is there twice`)])
    try {
      catalogOf([name])
    } catch (cause) {
      if (!InvalidDefinitionError.isInstance(cause)) throw cause
      throw new InputError([source.at(path, cause.message)], { cause })
    }
    found.set(name, path)
  }
  const permissions = members(source, []).get('permissions')
  if (Array.isArray(permissions)) {
    texts(source, ['permissions']).forEach((name, index) => {
      add(name, ['permissions', index])
    })
  } else {
    for (const resource of members(source, ['permissions']).keys()) {
      texts(source, ['permissions', resource]).forEach((action, index) => {
        add(`${resource}:${action}`, ['permissions', resource, index])
      })
    }
  }
  if (found.size === 0) throw wrong(source, ['permissions'], 'at least one permission')
  return found
}

function roleOf(source: SourceFile, name: string): DescribedRole {
  const path = ['roles', name]
  const role = members(source, path)
  only(source, path, ['permissions', 'inherits', 'description', 'isActive'])
  if (name === '') throw wrong(source, path, 'a name that is not empty')
  return {
    name,
    permissions: role.has('permissions') ? texts(source, [...path, 'permissions']) : [],
    inherits: role.has('inherits') ? texts(source, [...path, 'inherits']) : [],
    description: role.has('description') ? text(source, [...path, 'description']) : undefined,
    isActive: role.has('isActive') ? flag(source, [...path, 'isActive']) : true,
  }
}

function ruleOf(source: SourceFile, path: Path): SeparationRule {
  only(source, path, ['name', 'kind', 'roles', 'atMost'])
  const kind = text(source, [...path, 'kind'])
  if (kind !== 'static' && kind !== 'dynamic') throw wrong(source, [...path, 'kind'], 'static or dynamic')
  const roles = texts(source, [...path, 'roles'])
  const atMost = members(source, path).get('atMost')
  if (typeof atMost !== 'number' || !Number.isInteger(atMost) || atMost < 1 || atMost >= new Set(roles).size) {
    throw wrong(source, [...path, 'atMost'], 'a whole number from 1 to one less than its roles')
  }
  return { name: text(source, [...path, 'name']), kind, roles, atMost }
}
