import type { SubjectAccess } from './access.ts'
import { countMissing, hasBit, members, type Bits } from './bits.ts'
import type { Decision, DecisionReason } from './decision.ts'
import { violatedRules } from './separation.ts'

/** What keeps a subject from a permission that one of its roles, or a role it could be given, has. */
export type Obstacle =
  /** The subject's role grants it, in this scope only. */
  | { readonly kind: 'scope'; readonly role: string; readonly scope: string }
  | { readonly kind: 'inactive-role'; readonly role: string }
  /** The subject's role grants it and is not among the roles in use. */
  | { readonly kind: 'not-activated'; readonly role: string }
  /** The role would grant it, and the rule forbids to hold it together with `roles`. */
  | { readonly kind: 'separation'; readonly role: string; readonly rule: string; readonly roles: readonly string[] }

/** Why a permission is granted or denied. */
export interface Explanation extends Decision {
  /** The subject's roles that grant it. */
  readonly grantedBy: readonly string[]
  /** For each of `grantedBy`, the roles from the subject's down to the one that lists the permission. */
  readonly paths?: readonly (readonly string[])[]
  /** For a denial, the roles that would grant it; the one that would add the fewest other permissions comes first. */
  readonly wouldBeGrantedBy: readonly string[]
  readonly inTheWay?: readonly Obstacle[]
}

/** A role the subject holds, and what it does not grant of what was asked for. */
export interface RoleGap {
  readonly role: string
  readonly lacks: readonly string[]
}

/** Decides one permission, with the reason and the roles that grant it. */
export function decide(
  access: SubjectAccess<string>,
  permission: string,
  scope: string | undefined,
): Decision & { readonly grantedBy: readonly string[] } {
  const { subjectId, policyVersion, policy } = access
  const index = policy.catalog.indexOf(permission)
  const reason = reasonFor(access, index, scope)
  const allowed = reason === 'granted' || reason === 'superuser'
  const grantedBy = allowed ? grantingPaths(access, index, scope).map(path => path[0]!) : []
  return { allowed, permission, reason, subjectId, scope, policyVersion, grantedBy }
}

/** Explains one permission. It walks the role graph, so it is not for the way of every request. */
export function explain(access: SubjectAccess<string>, permission: string, scope: string | undefined): Explanation {
  const { policy } = access
  const { allowed, reason, grantedBy } = decide(access, permission, scope)
  const index = policy.catalog.indexOf(permission)
  const asked = scope === undefined ? { permission } : { permission, scope }
  if (allowed) {
    return { allowed, ...asked, reason, grantedBy, wouldBeGrantedBy: [], paths: grantingPaths(access, index, scope) }
  }
  const helpless = reason !== 'not-granted' && reason !== 'other-scope'
  const wouldBeGrantedBy = helpless ? [] : nearestRoles(access, policy.granting(index))
  const inTheWay = helpless ? [] : obstacles(access, index, scope, wouldBeGrantedBy)
  const denial = { allowed, ...asked, reason, grantedBy, wouldBeGrantedBy }
  return inTheWay.length === 0 ? denial : { ...denial, inTheWay }
}

/** Lists the roles in use with what each lacks of these permissions, the one that lacks the fewest first. */
export function roleGaps(
  access: SubjectAccess<string>,
  permissions: readonly string[],
  scope: string | undefined,
): readonly RoleGap[] {
  const { policy, holdings } = access
  const here = holdings.assignments.filter(held => held.scope === undefined || held.scope === scope)
  const gaps = [...new Set(here.map(({ role }) => role))].map(role => {
    const index = policy.graph.indexOf(role)
    const rights = index === undefined ? policy.nothing : policy.rightsOf([index])
    return { role, lacks: permissions.filter(name => !hasBit(rights, policy.catalog.indexOf(name))) }
  })
  return gaps.sort((a, b) => a.lacks.length - b.lacks.length)
}

function reasonFor(access: SubjectAccess<string>, index: number, scope: string | undefined): DecisionReason {
  if (access.unusable !== undefined) return access.unusable
  if (access.isSuperuser) return 'superuser'
  if (access.holds(index, scope)) return 'granted'
  if (hasBit(access.policy.inactive, index)) return 'inactive-permission'
  const elsewhere = [...(access.scoped?.values() ?? [])].some(rights => hasBit(rights, index))
  return elsewhere ? 'other-scope' : 'not-granted'
}

function grantingPaths(access: SubjectAccess<string>, index: number, scope: string | undefined): string[][] {
  const { graph, own, inactive } = access.policy
  const paths: string[][] = []
  // A superuser has what is switched off, and has it from no role.
  if (hasBit(inactive, index)) return paths
  const roles = access.holdings.assignments.filter(held => held.scope === undefined || held.scope === scope)
  for (const name of new Set(roles.map(({ role }) => role))) {
    const role = graph.indexOf(name)
    const path = role === undefined ? undefined : graph.path(role, reached => hasBit(own[reached]!, index))
    if (path !== undefined) paths.push(path)
  }
  return paths
}

function nearestRoles(access: SubjectAccess<string>, granting: Bits): string[] {
  const { policy } = access
  return members(granting)
    .map(role => ({ role, added: countMissing(policy.permissionsIn(policy.rightsOf([role])), access.rights) }))
    .sort((a, b) => a.added - b.added)
    .map(({ role }) => policy.graph.names[role]!)
}

function obstacles(
  access: SubjectAccess<string>,
  index: number,
  asked: string | undefined,
  candidates: readonly string[],
): Obstacle[] {
  const { policy, holdings } = access
  const { graph, own } = policy
  const found: Obstacle[] = []
  for (const { role, scope } of holdings.held) {
    const held = graph.indexOf(role)
    if (held === undefined) continue
    const reached = members(graph.reach([held], false)).filter(other => hasBit(own[other]!, index))
    if (reached.length === 0) continue
    const path = graph.path(held, other => reached.includes(other))
    if (path === undefined) found.push({ kind: 'inactive-role', role })
    else if (scope !== undefined && scope !== asked) found.push({ kind: 'scope', role, scope })
    else found.push({ kind: 'not-activated', role })
  }
  const heldNames = holdings.held.map(({ role }) => role)
  const brokenAlready = violatedRules(policy, heldNames, 'static').map(({ rule }) => rule)
  for (const role of candidates) {
    for (const { rule, roles } of violatedRules(policy, [...heldNames, role], 'static')) {
      if (brokenAlready.includes(rule)) continue
      found.push({ kind: 'separation', role, rule: rule.name, roles: roles.filter(other => other !== role) })
    }
  }
  return found
}
