import { channel } from 'node:diagnostics_channel'

const failures = channel('countersign.rbac-core.failure')

/**
 * Tells the operator why a request was denied for another reason than its subject's rights: the store was down, or the
 * function that names a scope failed. With nobody on the channel it becomes a process warning.
 */
export function reportFailure(error: unknown): void {
  if (failures.hasSubscribers) failures.publish({ error })
  else process.emitWarning(describe(error), { code: 'REQUEST_DENIED_BY_FAILURE' })
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
