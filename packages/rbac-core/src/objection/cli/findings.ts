import { RoleCycleError } from '../../errors.ts'
import { roleGraph } from '../../role-graph.ts'
import { violatedRules } from '../../separation.ts'
import { InputError } from './input-error.ts'
import { compiled, policyOf, type PolicyFile } from './policy-file.ts'
import { readSource } from './source-file.ts'
import { shown } from './shown.ts'

/** Reads a policy whose names all fit together; anything else is an error. */
export async function readPolicy(file: string): Promise<PolicyFile> {
  const policy = policyOf(await readSource(file))
  const found = unfitNames(policy)
  if (found.length > 0) throw new InputError(found)
  return policy
}

/** All that is wrong with a policy, each with file and line. */
export function findingsOf(file: PolicyFile): string[] {
  const found = unfitNames(file)
  // What a broken policy reaches says nothing.
  return found.length > 0 ? found : unfitReach(file)
}

function unfitNames({ source, permissions, roles, separationOfDuty }: PolicyFile): string[] {
  const found: string[] = []
  const names = new Set(roles.map(role => role.name))
  const wildcards = permissions.map(name => `${name.slice(0, name.indexOf(':'))}:*`)
  const grants = new Set(['*', ...permissions, ...wildcards])
  for (const role of roles) {
    role.permissions.forEach((name, index) => {
      const path = ['roles', role.name, 'permissions', index]
      if (!grants.has(name)) found.push(source.at(path, `there is no permission ${shown(name)}`))
    })
    role.inherits.forEach((name, index) => {
      const path = ['roles', role.name, 'inherits', index]
      if (!names.has(name)) found.push(source.at(path, `there is no role ${shown(name)}`))
    })
  }
  const ruleNames = new Set<string>()
  separationOfDuty.forEach((rule, number) => {
    const path = ['separationOfDuty', number]
    if (ruleNames.has(rule.name))
      found.push(source.at([...path, 'name'], `the rule ${shown(rule.name)} is there twice`))
    ruleNames.add(rule.name)
    rule.roles.forEach((name, index) => {
      if (!names.has(name)) found.push(source.at([...path, 'roles', index], `there is no role ${shown(name)}`))
    })
  })
  try {
    roleGraph(roles, { strict: false })
  } catch (error) {
    if (!RoleCycleError.isInstance(error)) throw error
    const circle = error.path.map(shown).join(' > ')
    found.push(source.at(['roles', error.path[0]!, 'inherits'], `the roles inherit each other in a circle: ${circle}`))
  }
  return found
}

function unfitReach(file: PolicyFile): string[] {
  const policy = compiled(file)
  if (policy === undefined) return []
  const found: string[] = []
  for (const { name } of file.roles) {
    for (const kind of ['static', 'dynamic'] as const) {
      for (const { rule, roles } of violatedRules(policy, [name], kind)) {
        const verb = kind === 'static' ? 'hold' : 'activate'
        const why = `with ${roles.map(shown).join(' and ')} it breaks the rule ${shown(rule.name)}`
        found.push(file.source.at(['roles', name], `nobody can ${verb} the role ${shown(name)}: ${why}`))
      }
    }
  }
  for (const [name, path] of file.permissionPaths) {
    if (policy.rolesWith(name).length === 0) found.push(file.source.at(path, `no active role grants ${shown(name)}`))
  }
  return found
}
