import { currentAuditContext, type AuditContext } from '../collection/context.ts'
import { commentStart } from './schema/change-trigger.ts'

/**
 * Returns the running audit context as a comment to send before a statement, or nothing where there is no context. The
 * triggers read it from the statement itself, so it holds for that statement only. It is made for each statement: a
 * request's context learns who is behind it only when the session has been read.
 */
export function statementComment(): string {
  const context = currentAuditContext()
  return context ? `${commentStart}${asciiJson(carried(context))}*/` : ''
}

// The trigger reads no more than 8192 characters and stores no more of each field than this.
const longest = 255

function carried({ actor, ...context }: AuditContext): Record<string, string | undefined> {
  return {
    u: cut(actor?.id),
    t: cut(actor?.type),
    i: cut(actor?.impersonatorId),
    s: cut(context.sessionId),
    a: cut(context.ip),
    g: cut(context.userAgent),
    n: cut(context.tenantId),
    c: cut(context.correlationId),
    p: cut(context.causationId),
    o: cut(context.source),
    w: cut(context.traceparent),
  }
}

function cut(text: string | undefined): string | undefined {
  return text?.replaceAll('\0', '').slice(0, longest).toWellFormed()
}

/** Escapes what could end or open a comment, and all that is not ASCII, so that no encoding can change its length. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]|[*/?]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
