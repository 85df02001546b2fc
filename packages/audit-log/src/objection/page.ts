import type { AuditFilter } from '../audit-filter.ts'
import { lowestUuidv7, timeOfUuidv7 } from '../uuid.ts'
import { selectList } from './columns.ts'

interface Statement {
  readonly sql: string
  readonly bindings: (string | number)[]
}

/**
 * Reads a page in the order of the ids, which is the order of time, from where the last page ended. The bounds are said of
 * the ids, which the indexes hold, and once more of `created_at`, which tells the partitions that can hold the rows.
 */
export function selectPage(filter: AuditFilter, limit: number, afterId: string | undefined): Statement {
  const conditions: string[] = []
  const bindings: (string | number)[] = []
  function where(condition: string, ...values: (string | number | undefined)[]): void {
    if (values.some(value => value === undefined)) return
    conditions.push(condition)
    bindings.push(...(values as (string | number)[]))
  }
  where('user_id = ?', filter.actorId)
  where('action = ?', filter.action)
  where('resource_type = ?', filter.resourceType)
  where('resource_id = ?', resourceIdOf(filter.resourceId))
  where('outcome = ?', filter.outcome)
  where('correlation_id = ?', filter.correlationId)
  where('tenant_id = ?', filter.tenantId)
  where('ip_address = ?', filter.ip)
  if (filter.from) where('id >= ? and created_at >= ?', lowestUuidv7(filter.from.getTime()), filter.from.toISOString())
  if (filter.to) where('id < ? and created_at < ?', lowestUuidv7(filter.to.getTime()), filter.to.toISOString())
  const oldestFirst = filter.order === 'oldest'
  if (afterId !== undefined) {
    const time = new Date(timeOfUuidv7(afterId)).toISOString()
    where(oldestFirst ? 'id > ? and created_at >= ?' : 'id < ? and created_at <= ?', afterId, time)
  }
  bindings.push(limit)
  return {
    sql: `select ${selectList} from audit_logs ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
      order by id ${oldestFirst ? 'asc' : 'desc'} limit ?`,
    bindings,
  }
}

/** The trigger writes a key of several columns as PostgreSQL's text of a json array. */
function resourceIdOf(id: AuditFilter['resourceId']): string | undefined {
  return typeof id === 'object' ? `[${id.map(part => JSON.stringify(part)).join(', ')}]` : id
}
