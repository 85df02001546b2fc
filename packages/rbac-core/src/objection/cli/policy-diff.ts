import type { SeparationRule } from '../../grant-store.ts'
import { compiled, type PolicyDefinition } from './policy-file.ts'
import { shown, shownAll, sorted } from './shown.ts'

/** What one role gains and loses, inherited permissions and wildcards included. */
export interface RoleDiff {
  readonly role: string
  readonly kind: 'added' | 'removed' | 'changed'
  readonly gained: readonly string[]
  readonly lost: readonly string[]
}

/** What changes from one policy to another. */
export interface PolicyDiff {
  readonly permissionsAdded: readonly string[]
  readonly permissionsRemoved: readonly string[]
  readonly roles: readonly RoleDiff[]
  readonly rules: readonly { readonly rule: string; readonly kind: 'added' | 'removed' | 'changed' }[]
}

/** Compares what two policies grant, however each of them says it. */
export function diffPolicies(before: PolicyDefinition, after: PolicyDefinition): PolicyDiff {
  const effective = { before: effectOf(before), after: effectOf(after) }
  const roles = sorted(new Set([...effective.before.keys(), ...effective.after.keys()])).flatMap((role): RoleDiff[] => {
    const old = effective.before.get(role)
    const now = effective.after.get(role)
    const gained = without(now, old)
    const lost = without(old, now)
    const kind = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed'
    return kind === 'changed' && gained.length + lost.length === 0 ? [] : [{ role, kind, gained, lost }]
  })
  return {
    permissionsAdded: without(new Set(after.permissions), new Set(before.permissions)),
    permissionsRemoved: without(new Set(before.permissions), new Set(after.permissions)),
    roles,
    rules: diffRules(before.separationOfDuty, after.separationOfDuty),
  }
}

/**
 * Tells whether somebody may gain or lose by a change. A separation rule takes away: with one less there is more to be had.
 */
export function changesOf({ permissionsAdded, permissionsRemoved, roles, rules }: PolicyDiff): {
  gain: boolean
  loss: boolean
  any: boolean
} {
  return {
    gain: roles.some(role => role.gained.length > 0) || rules.some(rule => rule.kind !== 'added'),
    loss: roles.some(role => role.lost.length > 0) || rules.some(rule => rule.kind !== 'removed'),
    any: permissionsAdded.length + permissionsRemoved.length + roles.length + rules.length > 0,
  }
}

const signs = { added: '+', removed: '-', changed: '~' }

/** The change as lines: `+` added or gained, `-` removed or lost, `~` changed. */
export function diffLines({ permissionsAdded, permissionsRemoved, roles, rules }: PolicyDiff): string[] {
  return [
    ...permissionsAdded.map(name => `+ permission ${shown(name)}`),
    ...permissionsRemoved.map(name => `- permission ${shown(name)}`),
    ...roles.flatMap(({ role, kind, gained, lost }) => [
      `${signs[kind]} role ${shown(role)}`,
      ...gained.map(name => `    + ${shown(name)}`),
      ...lost.map(name => `    - ${shown(name)}`),
    ]),
    ...rules.map(({ rule, kind }) => `${signs[kind]} rule ${shown(rule)}`),
  ]
}

/** True for two rules that bind alike. */
export function sameRule(a: SeparationRule, b: SeparationRule): boolean {
  return a.kind === b.kind && a.atMost === b.atMost && shownAll(new Set(a.roles)) === shownAll(new Set(b.roles))
}

function diffRules(before: readonly SeparationRule[], after: readonly SeparationRule[]): PolicyDiff['rules'] {
  const old = new Map(before.map(rule => [rule.name, rule]))
  const now = new Map(after.map(rule => [rule.name, rule]))
  return sorted(new Set([...old.keys(), ...now.keys()])).flatMap((rule): PolicyDiff['rules'] => {
    const was = old.get(rule)
    const is = now.get(rule)
    if (was !== undefined && is !== undefined) return sameRule(was, is) ? [] : [{ rule, kind: 'changed' }]
    return [{ rule, kind: is === undefined ? 'removed' : 'added' }]
  })
}

function effectOf(definition: PolicyDefinition): Map<string, ReadonlySet<string>> {
  const policy = compiled(definition)
  return new Map(definition.roles.map(({ name }) => [name, new Set(policy?.permissionsOf(name))]))
}

function without(names: Iterable<string> = [], others: ReadonlySet<string> = new Set()): string[] {
  return sorted(names).filter(name => !others.has(name))
}
