import type { Knex } from 'knex'
import { InvalidDefinitionError, SeparationOfDutyError } from '../errors.ts'
import type { GrantVersion, SeparationRule } from '../grant-store.ts'
import { checkName } from './check-text.ts'
import { findRoles } from './stored-role.ts'
import { write, type TransactionOptions } from './write.ts'

export interface SeparationWrites {
  /** Adds a rule. Throws `SEPARATION_OF_DUTY` if it is static and a user holds too many of its roles already. */
  addSeparationRule(rule: SeparationRule, options?: TransactionOptions): Promise<GrantVersion>
  /** Removes a rule; one that does not exist is no error. */
  removeSeparationRule(name: string, options?: TransactionOptions): Promise<GrantVersion>
}

export function separationWrites(knex: Knex): SeparationWrites {
  return {
    addSeparationRule: (rule, options) =>
      write(knex, options, async transaction => {
        const roles = [...new Set(rule.roles)]
        checkRule(rule, roles.length)
        if (await transaction('separation_rules').where('name', rule.name).first('id')) {
          throw new InvalidDefinitionError('rule.name', `there is a rule ${JSON.stringify(rule.name)} already`)
        }
        const [row] = await transaction('separation_rules')
          .insert({ name: rule.name, kind: rule.kind, at_most: rule.atMost })
          .returning<{ id: string }[]>('id')
        const members = await findRoles(transaction, roles, `The rule ${rule.name}`)
        await transaction('separation_rule_roles').insert(members.map(({ id }) => ({ rule_id: row?.id, role_id: id })))
        await refuseViolations(transaction)
      }),

    removeSeparationRule: (name, options) =>
      write(knex, options, transaction => transaction('separation_rules').where({ name }).delete()),
  }
}

function checkRule(rule: SeparationRule, roles: number): void {
  checkName('rule.name', rule.name)
  if (!['static', 'dynamic'].includes(rule.kind)) {
    throw new InvalidDefinitionError('rule.kind', "expected 'static' or 'dynamic'")
  }
  if (!Number.isInteger(rule.atMost) || rule.atMost < 1 || rule.atMost >= roles) {
    throw new InvalidDefinitionError(
      'rule.atMost',
      'expected an integer of at least 1 and less than the number of roles',
    )
  }
}

/**
 * Throws if a user, or any user, holds too many roles of a static rule, by assignment or inheritance.
 *
 * Inactive roles, users and roles held in different scopes all count: else a rule could be broken afterwards by
 * switching something on.
 */
export async function refuseViolations(transaction: Knex, userId?: string): Promise<void> {
  const { rows } = await transaction.raw<{
    rows: { rule: string; atMost: number; roles: string[]; subjectId: string }[]
  }>(
    `with recursive held (user_id, role_id) as (
       select user_id, role_id from user_roles
       where (expires_at is null or expires_at > clock_timestamp()) ${userId === undefined ? '' : 'and user_id = ?'}
       union
       select h.user_id, i.inherited_role_id from held h join role_inherits i on i.role_id = h.role_id
     )
     select s.name as rule, s.at_most as "atMost", array_agg(r.name order by r.name) as roles,
       h.user_id::text as "subjectId"
     from held h
     join separation_rule_roles m on m.role_id = h.role_id
     join separation_rules s on s.id = m.rule_id and s.kind = 'static'
     join roles r on r.id = h.role_id
     group by h.user_id, s.id
     having count(*) > s.at_most
     limit 1`,
    userId === undefined ? [] : [userId],
  )
  const [violation] = rows
  if (violation) throw new SeparationOfDutyError({ ...violation, kind: 'static' })
}
