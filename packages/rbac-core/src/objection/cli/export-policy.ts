import { peer } from './peer.ts'
import type { PolicyDefinition } from './policy-file.ts'
import { shownAll, sorted } from './shown.ts'

/** Writes a policy as YAML that reads back as the same policy, in one order whatever the database's. */
export async function policyYaml(policy: PolicyDefinition): Promise<string> {
  const yaml = await peer('yaml', 'YAML files', () => import('yaml'))
  const permissions = new Map<string, string[]>()
  for (const name of sorted(policy.permissions)) {
    const colon = name.indexOf(':')
    const actions = permissions.get(name.slice(0, colon)) ?? []
    permissions.set(name.slice(0, colon), [...actions, name.slice(colon + 1)])
  }
  const roles = policy.roles.map(({ name, description, isActive, permissions, inherits }) => {
    const role = new Map<string, unknown>()
    if (description) role.set('description', description)
    if (!isActive) role.set('isActive', false)
    if (inherits.length > 0) role.set('inherits', inherits)
    role.set('permissions', permissions)
    return [name, role] as const
  })
  const file = new Map<string, unknown>([
    ['permissions', permissions],
    ['roles', new Map(roles)],
  ])
  if (policy.separationOfDuty.length > 0) {
    const rules = policy.separationOfDuty.map(({ name, kind, roles, atMost }) => ({ name, kind, roles, atMost }))
    file.set('separationOfDuty', rules)
  }
  const text = yaml.stringify(file, { lineWidth: 0, aliasDuplicateObjects: false })
  if (policy.inactivePermissions.length === 0) return text
  return `# Switched off in the database, which a policy cannot say: ${shownAll(policy.inactivePermissions)}\n${text}`
}
