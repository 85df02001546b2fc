import { currentAuditContext } from '@countersign/audit-log'
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { System } from './system.ts'
import { announceChange } from './tasks.ts'

/** Does the announcements: appends each to a file, one JSON value a line, until `resources` are closed. */
export async function beginAnnouncing({ queue, config, log }: System, resources: AsyncDisposableStack): Promise<void> {
  await mkdir(dirname(config.eventsFile), { recursive: true })
  const file = await open(config.eventsFile, 'a')
  resources.defer(() => file.close())
  const worker = queue.work(
    announceChange,
    async (change, { id, attempt }) => {
      const correlationId = currentAuditContext()?.correlationId
      await file.appendFile(`${JSON.stringify({ id, correlationId, ...change })}\n`)
      await file.datasync()
      log.info({ messageId: id, attempt, documentId: change.documentId }, 'change announced')
    },
    { concurrency: 8 },
  )
  resources.defer(async () => {
    const { unfinished } = await worker.stop({ drainMs: 10_000 })
    if (unfinished > 0) log.warn({ unfinished }, 'announcements were left to another worker')
  })
}
