import type { Outcome } from './audit-event.ts'

/** Which rows a query returns; every field given must hold. */
export interface AuditFilter {
  /** The acting user's or service's id. */
  readonly actorId?: string | undefined
  readonly action?: string | undefined
  readonly resourceType?: string | undefined
  /** The resource's id; an array where the table's key has several columns. */
  readonly resourceId?: string | readonly (string | number)[] | undefined
  readonly outcome?: Outcome | undefined
  readonly correlationId?: string | undefined
  readonly tenantId?: string | undefined
  readonly ip?: string | undefined
  /** The first moment that counts. */
  readonly from?: Date | undefined
  /** The first moment that counts no more. */
  readonly to?: Date | undefined
  /** @defaultValue `'newest'` first */
  readonly order?: 'newest' | 'oldest' | undefined
  /** The most rows to return. @defaultValue no limit: rows are fetched in pages as they are read */
  readonly limit?: number | undefined
}
