import type { Actor } from '../audit-event.ts'
import { currentAuditContext, runInAuditContext, type AuditContext } from './context.ts'

/** Takes the audit context to another process and back into effect there: fits the queue's port for it. */
export interface AuditCarrier {
  /** Returns the running context as headers: text by name, nothing where there is no context. */
  capture(): Record<string, string>
  /** Runs `work` in the context that `headers` hold and in nothing else of the context it is called in. */
  run<T>(headers: Readonly<Record<string, unknown>>, work: () => PromiseLike<T>): Promise<T>
  run<T>(headers: Readonly<Record<string, unknown>>, work: () => T): T
}

const headerOf = {
  correlationId: 'correlation-id',
  causationId: 'causation-id',
  sessionId: 'audit-session-id',
  ip: 'audit-ip',
  userAgent: 'audit-user-agent',
  tenantId: 'audit-tenant-id',
  traceparent: 'traceparent',
} as const
const actorId = 'audit-actor-id'
const actorType = 'audit-actor-type'
const impersonatorId = 'audit-impersonator-id'

// A header comes from outside this process: nothing longer than this was written by `capture`.
const longest = 512

export const carrier: AuditCarrier = {
  capture() {
    const context = currentAuditContext()
    const headers: Record<string, string> = {}
    if (!context) return headers
    for (const [field, header] of fields()) put(headers, header, context[field])
    put(headers, actorId, context.actor?.id)
    put(headers, actorType, context.actor?.type)
    put(headers, impersonatorId, context.actor?.impersonatorId)
    return headers
  },

  run<T>(headers: Readonly<Record<string, unknown>>, work: () => T) {
    const context: { -readonly [field in keyof AuditContext]: AuditContext[field] } = {}
    for (const [field, header] of fields()) {
      const text = take(headers, header)
      if (text !== undefined) context[field] = text
    }
    const actor = actorOf(headers)
    if (actor) context.actor = actor
    return runInAuditContext(context, work)
  },
}

function actorOf(headers: Readonly<Record<string, unknown>>): Actor | undefined {
  const id = take(headers, actorId)
  const type = take(headers, actorType)
  if (id === undefined || (type !== 'user' && type !== 'service')) return undefined
  return { id, type, impersonatorId: take(headers, impersonatorId) }
}

function fields(): [keyof typeof headerOf, string][] {
  return Object.entries(headerOf) as [keyof typeof headerOf, string][]
}

function put(headers: Record<string, string>, name: string, text: string | undefined): void {
  if (text !== undefined) headers[name] = text.slice(0, longest)
}

function take(headers: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  return typeof value === 'string' && value.length <= longest ? value : undefined
}
