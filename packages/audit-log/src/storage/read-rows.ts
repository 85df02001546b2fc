import type { AuditRow } from '../audit-event.ts'
import type { AuditFilter } from '../audit-filter.ts'
import { AuditOptionError } from '../errors.ts'
import type { AuditStore } from './audit-store.ts'

const pageSize = 500

/** Reads the rows of a filter page by page, each page from the id where the last one ended, after `begin` has resolved. */
export function readRows(
  store: Pick<AuditStore, 'page'>,
  filter: AuditFilter,
  begin?: () => Promise<void>,
): AsyncIterable<AuditRow> {
  const { limit = Infinity } = filter
  if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new AuditOptionError('limit', 'a whole number of rows')
  }
  return {
    async *[Symbol.asyncIterator]() {
      await begin?.()
      let left = limit
      let afterId: string | undefined
      while (left > 0) {
        const size = Math.min(pageSize, left)
        const rows = await store.page(filter, size, afterId)
        yield* rows
        if (rows.length < size) return
        left -= rows.length
        afterId = rows.at(-1)?.id
      }
    },
  }
}
