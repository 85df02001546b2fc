import { AsyncLocalStorage } from 'node:async_hooks'
import type { Actor } from '../audit-event.ts'

/** What every event recorded inside it shares: who acts, from where, and for which request. */
export interface AuditContext {
  readonly actor?: Actor | undefined
  /** Joins everything that one request set off, across processes. */
  readonly correlationId?: string | undefined
  /** Names the event or message that led to this one. */
  readonly causationId?: string | undefined
  /** A hash of the session's id, never the id. */
  readonly sessionId?: string | undefined
  readonly ip?: string | undefined
  readonly userAgent?: string | undefined
  readonly tenantId?: string | undefined
  readonly traceparent?: string | undefined
  /** The app or part of it that speaks; `createAuditLog` fills it in. */
  readonly source?: string | undefined
}

// One per process, also where two copies of this package are installed.
const key = Symbol.for('countersign.audit-log.context')
const holder = globalThis as { [key]?: AsyncLocalStorage<AuditContext> }
const storage = (holder[key] ??= new AsyncLocalStorage<AuditContext>())

/** Returns the context of the running code, if there is one. */
export function currentAuditContext(): AuditContext | undefined {
  return storage.getStore()
}

/**
 * Runs `work` with `context` laid over the context it is called in. What `work` returns to be awaited is awaited inside,
 * because a query of Knex or Objection starts only then.
 */
export function runWithAuditContext<T>(context: AuditContext, work: () => PromiseLike<T>): Promise<T>
export function runWithAuditContext<T>(context: AuditContext, work: () => T): T
export function runWithAuditContext(context: AuditContext, work: () => unknown): unknown {
  return storage.run({ ...storage.getStore(), ...context }, () => started(work()))
}

/** Does the same with nothing of the context it is called in: for work that arrives from elsewhere. */
export function runInAuditContext<T>(context: AuditContext, work: () => PromiseLike<T>): Promise<T>
export function runInAuditContext<T>(context: AuditContext, work: () => T): T
export function runInAuditContext(context: AuditContext, work: () => unknown): unknown {
  return storage.run(context, () => started(work()))
}

function started(result: unknown): unknown {
  if (result instanceof Promise || !isThenable(result)) return result
  return new Promise((resolve, reject) => {
    result.then(resolve, reject)
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  return 'then' in value && typeof value.then === 'function'
}
