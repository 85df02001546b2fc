import type { Knex } from 'knex'
import type { Constructor, Model, QueryBuilderType, TransactionOrKnex } from 'objection'
import { carryAuditContext } from './carry-context.ts'

type ModelClass = abstract new (...args: never[]) => Model

/**
 * Returns a model class whose queries carry the running audit context to the triggers of audited tables, whichever knex
 * or transaction it is given. What the table's own `auditTable` says is recorded; this says by whom.
 *
 * @param Base - Objection's `Model` or a class of yours that extends it.
 * @returns The class to extend.
 * @example
 * ```ts
 * import { audited } from '@countersign/audit-log/objection'
 * import { Model } from 'objection'
 *
 * export class Document extends audited(Model) {
 *   static override tableName = 'documents'
 * }
 * ```
 */
export function audited<M extends ModelClass>(Base: M): M {
  const Parent = Base as unknown as typeof Model
  class Audited extends Parent {
    static override knex(...args: [] | [knex: Knex]): Knex {
      const [knex] = args
      // Objection tells a read from a binding by the number of arguments.
      return knex ? Parent.knex.call(this, carryAuditContext(knex)) : Parent.knex.call(this)
    }

    static override query<M extends Model>(this: Constructor<M>, transaction?: TransactionOrKnex): QueryBuilderType<M> {
      if (transaction) carryAuditContext(transaction)
      return Parent.query.call(this, transaction)
    }
  }
  return Audited as unknown as M
}
