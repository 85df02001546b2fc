import { currentAuditContext } from '@countersign/audit-log'
import { pino, type Logger } from 'pino'

/** JSON lines on standard output, each with the correlation id of the request or message it belongs to. */
export function createLog(service: string, level: string): Logger {
  return pino({
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    messageKey: 'message',
    mixin: () => {
      const correlationId = currentAuditContext()?.correlationId
      return correlationId === undefined ? {} : { correlationId }
    },
    redact: ['password', 'token', '*.password', '*.token', '*.authorization', '*.cookie'],
  })
}
