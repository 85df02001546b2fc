import { audited } from '@countersign/audit-log/objection'
import { Model } from 'objection'

/** A document of the register: written by one person, published by another. */
export class Document extends audited(Model) {
  static override tableName = 'documents'

  declare id: string
  declare title: string
  declare body: string
  declare status: 'draft' | 'published'
  declare author_id: string
  declare published_by: string | null
  declare created_at: Date
  declare updated_at: Date
}
