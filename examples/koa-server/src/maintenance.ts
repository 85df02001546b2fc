import { maintainPartitions } from '@countersign/audit-log/objection'
import type { System } from './system.ts'

const dayMs = 24 * 3_600_000

/**
 * Makes the audit log's coming months and deletes sessions that have expired, at the start and once a day. Any number of
 * processes may do it; whoever comes second finds nothing to do.
 */
export function beginMaintenance({ knex, sessions, log }: System, resources: AsyncDisposableStack): void {
  const maintain = async (): Promise<void> => {
    try {
      const partitions = await maintainPartitions(knex)
      const expired = await sessions.deleteExpired()
      log.info({ partitions, expired }, 'maintenance done')
    } catch (error) {
      log.error({ err: error }, 'maintenance failed; the next attempt is tomorrow')
    }
  }
  let running = maintain()
  const timer = setInterval(() => {
    running = maintain()
  }, dayMs)
  resources.defer(async () => {
    clearInterval(timer)
    await running
  })
}
