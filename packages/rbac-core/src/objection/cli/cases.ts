import { SeparationOfDutyError } from '../../errors.ts'
import type { Policy, RoleAssignment } from '../../policy.ts'
import { InputError } from './input-error.ts'
import { list, only, text, texts, members, wrong } from './shape.ts'
import { shown, shownAll } from './shown.ts'
import type { Path, SourceFile } from './source-file.ts'

interface PolicyCase {
  readonly path: Path
  readonly roles: readonly RoleAssignment[]
  readonly activeRoles: readonly string[] | undefined
  readonly permission: string
  readonly scope: string | undefined
  readonly expect: 'allowed' | 'denied'
}

/** Runs the cases of a file against a policy; every failure has its file and line. */
export function runCases(policy: Policy, source: SourceFile): { count: number; failures: string[] } {
  const cases = list(source, []).map((_, index) => caseOf(policy, source, [index]))
  return { count: cases.length, failures: cases.flatMap(one => failureOf(policy, source, one)) }
}

function failureOf(policy: Policy, source: SourceFile, one: PolicyCase): string[] {
  const { outcome, why } = outcomeOf(policy, one)
  if (outcome === one.expect) return []
  const where = one.scope === undefined ? '' : ` in ${shown(one.scope)}`
  return [source.at(one.path, `${shown(one.permission)}${where}: expected ${one.expect}, got ${outcome} (${why})`)]
}

function outcomeOf(policy: Policy, one: PolicyCase): { outcome: 'allowed' | 'denied'; why: string } {
  const { roles, activeRoles, permission, scope } = one
  try {
    const why = policy.accessFor({ id: 'case', roles, activeRoles }).explain(permission, { scope })
    if (why.allowed) {
      return { outcome: 'allowed', why: (why.paths ?? []).map(path => path.map(shown).join(' > ')).join(', ') }
    }
    const others = why.wouldBeGrantedBy.map(shown).join(', ')
    return { outcome: 'denied', why: why.reason + (others === '' ? '' : `; would be granted by ${others}`) }
  } catch (error) {
    // Roles that may not be in use together are no session, and so no access.
    if (!SeparationOfDutyError.isInstance(error)) throw error
    return { outcome: 'denied', why: `the rule ${shown(error.rule)} forbids ${shownAll(error.roles)} together` }
  }
}

function caseOf(policy: Policy, source: SourceFile, path: Path): PolicyCase {
  only(source, path, ['roles', 'activeRoles', 'permission', 'scope', 'expect'])
  const given = members(source, path)
  const roles = list(source, [...path, 'roles']).map((role, index): RoleAssignment => {
    const here = [...path, 'roles', index]
    if (typeof role === 'string') return { role: known(policy, source, here) }
    only(source, here, ['role', 'scope'])
    const scope = members(source, here).has('scope') ? text(source, [...here, 'scope']) : undefined
    return { role: known(policy, source, [...here, 'role']), scope }
  })
  const permission = text(source, [...path, 'permission'])
  if (!policy.catalog.has(permission)) {
    throw new InputError([source.at([...path, 'permission'], `there is no permission ${shown(permission)}`)])
  }
  const expect = text(source, [...path, 'expect'])
  if (expect !== 'allowed' && expect !== 'denied') throw wrong(source, [...path, 'expect'], 'allowed or denied')
  const activeRoles = given.has('activeRoles')
    ? texts(source, [...path, 'activeRoles']).map((_, index) => known(policy, source, [...path, 'activeRoles', index]))
    : undefined
  const scope = given.has('scope') ? text(source, [...path, 'scope']) : undefined
  return { path, roles, activeRoles, permission, scope, expect }
}

/** A misspelt role grants nothing, so that a case which expects a denial would pass for the wrong reason. */
function known(policy: Policy, source: SourceFile, path: Path): string {
  const role = text(source, path)
  if (policy.graph.indexOf(role) === undefined) {
    throw new InputError([source.at(path, `there is no role ${shown(role)}`)])
  }
  return role
}
