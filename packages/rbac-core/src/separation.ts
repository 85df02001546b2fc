import { hasBit } from './bits.ts'
import { InvalidDefinitionError, SeparationOfDutyError, UnknownRoleError } from './errors.ts'
import type { SeparationRule } from './grant-store.ts'
import type { Policy } from './policy.ts'
import type { RoleGraph } from './role-graph.ts'

/** A rule, and those of its roles that are too many together. */
export interface RuleViolation {
  readonly rule: SeparationRule
  readonly roles: readonly string[]
}

/**
 * Lists the separation rules that holding or activating these roles would break.
 *
 * Inherited roles count as held, wherever a role's scope may be (ANSI INCITS 359, static and dynamic separation of duty
 * with hierarchy). An inactive role counts for static rules, since it can be switched on again, and not for dynamic ones.
 *
 * @param policy - The compiled policy.
 * @param roleNames - All roles of one subject; unknown ones count for nothing.
 * @param kind - Which rules to apply.
 * @returns The broken rules, each with the roles that break it.
 */
export function violatedRules(
  policy: Policy,
  roleNames: Iterable<string>,
  kind: 'static' | 'dynamic',
): readonly RuleViolation[] {
  const rules = policy.record.separationOfDuty.filter(rule => rule.kind === kind)
  if (rules.length === 0) return []
  const { graph } = policy
  const held: number[] = []
  for (const name of roleNames) {
    const role = graph.indexOf(name)
    if (role !== undefined) held.push(role)
  }
  const reached = graph.reach(held, kind === 'dynamic')
  const violations: RuleViolation[] = []
  for (const rule of rules) {
    const roles = [...new Set(rule.roles)].filter(name => {
      const role = graph.indexOf(name)
      return role !== undefined && hasBit(reached, role)
    })
    if (roles.length > rule.atMost) violations.push({ rule, roles })
  }
  return violations
}

/** Throws `SEPARATION_OF_DUTY` for the first rule that these roles break. */
export function assertSeparated(
  policy: Policy,
  roleNames: Iterable<string>,
  kind: 'static' | 'dynamic',
  subjectId?: string,
): void {
  const [violation] = violatedRules(policy, roleNames, kind)
  if (violation === undefined) return
  const { name: rule, atMost } = violation.rule
  throw new SeparationOfDutyError({ rule, kind, atMost, roles: violation.roles, subjectId })
}

/** Refuses rules that could never bind, or that name a role the policy does not have. */
export function checkRules(rules: readonly SeparationRule[], graph: RoleGraph): void {
  rules.forEach(({ name, kind, roles, atMost }, index) => {
    const field = `separationOfDuty[${index}]`
    if (typeof name !== 'string' || name === '') throw new InvalidDefinitionError(`${field}.name`, 'expected a name')
    if (!['static', 'dynamic'].includes(kind)) {
      throw new InvalidDefinitionError(`${field}.kind`, "expected 'static' or 'dynamic'")
    }
    for (const role of roles) if (graph.indexOf(role) === undefined) throw new UnknownRoleError(role, `${field}.roles`)
    if (!Number.isInteger(atMost) || atMost < 1 || atMost >= new Set(roles).size) {
      throw new InvalidDefinitionError(`${field}.atMost`, 'expected a whole number from 1 to one less than its roles')
    }
  })
}
