import type { AuditEvent, Outcome, Resource, Severity } from '../audit-event.ts'
import { AuditOptionError } from '../errors.ts'
import { checkEvent } from '../processing/check-event.ts'
import { uuidv7 } from '../uuid.ts'
import type { AuditContext } from './context.ts'
import { reportUnrecorded } from './unrecorded.ts'

/** What an activity needs of an audit log. */
export interface ActivityRecorder {
  run<T>(context: AuditContext, work: () => T): T
  /** Resolves once the event is durable. */
  recordDurably(event: AuditEvent): Promise<unknown>
}

/** What the row of an activity tells besides its name, outcome and duration. */
export interface ActivityOptions {
  /** What it is done to, told by the arguments. */
  readonly resource?: ((args: readonly unknown[]) => Resource | undefined) | undefined
  /**
   * Whether the arguments are recorded, or what of them. With `true` objects are read when the call has ended.
   * @defaultValue `false`
   */
  readonly arguments?: boolean | ((args: readonly unknown[]) => unknown) | undefined
  /** Whether the result is recorded, or what of it. @defaultValue `false` */
  readonly result?: boolean | ((result: unknown) => unknown) | undefined
  /** @defaultValue `info`, and `warn` where it fails */
  readonly severity?: Severity | undefined
}

/** An async function; a row that is durable before the caller goes on can be awaited only there. */
export type AsyncFunction = (...args: never) => Promise<unknown>

/** Records every call: a decorator for async methods, standard and legacy, and a wrapper for async functions. */
export interface Activity {
  <Method extends AsyncFunction>(value: Method, context: ClassMethodDecoratorContext): Method
  <Method extends AsyncFunction>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): TypedPropertyDescriptor<Method>
  /** Returns `work` with its calls recorded, and with its types, name and length. */
  wrap<Work extends AsyncFunction>(work: Work): Work
}

/** Makes the decorator of one kind of activity. */
export type ActivityFactory = (action: string, options?: ActivityOptions) => Activity

type Facts = Readonly<Record<string, unknown>>
type AnyAsync = (this: unknown, ...args: unknown[]) => Promise<unknown>

// What rbac-core's guards throw.
const denialCodes = new Set<unknown>(['PERMISSION_DENIED', 'UNAUTHENTICATED', 'STALE_ACCESS'])

/**
 * Makes the `activity` decorator of an audit log.
 *
 * A call is recorded when it has ended, with its outcome, its duration and, where it failed, the error's name and code;
 * it settles once the row is durable. Everything recorded inside it names it as its cause. A call that succeeded and could
 * not be recorded is rejected; an error of the call itself always reaches the caller as it is.
 *
 * @param audit - The log.
 * @returns A function from an action's name to its decorator; it throws `AUDIT_EVENT_INVALID` for a name that is none.
 */
export function createActivity(audit: ActivityRecorder): ActivityFactory {
  return function activity(action, options = {}) {
    checkEvent({ action })
    const wrap = (work: AnyAsync): AnyAsync => recorded(audit, action, options, work)
    const decorate = (target: unknown, second: unknown, descriptor?: TypedPropertyDescriptor<AnyAsync>): unknown => {
      if (isMethodContext(second)) return wrap(target as AnyAsync)
      if (descriptor?.value) return { ...descriptor, value: wrap(descriptor.value) }
      throw new AuditOptionError('activity', 'placed on an async method')
    }
    return Object.assign(decorate, { wrap }) as unknown as Activity
  }
}

function isMethodContext(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'method'
}

function recorded(audit: ActivityRecorder, action: string, options: ActivityOptions, work: AnyAsync): AnyAsync {
  async function call(this: unknown, ...args: unknown[]): Promise<unknown> {
    const id = uuidv7()
    const startedAt = performance.now()
    // Before the call, which may change its arguments.
    const resource = options.resource?.(args)
    const before = chosen('arguments', options.arguments, args)
    const event = (outcome: Outcome, after: Facts): AuditEvent => ({
      id,
      action,
      outcome,
      severity: options.severity ?? (outcome === 'success' ? 'info' : 'warn'),
      resource,
      metadata: { durationMs: performance.now() - startedAt, ...before, ...after },
    })
    let result: unknown
    try {
      result = await audit.run({ causationId: id }, () => work.apply(this, args))
    } catch (error) {
      const failed = event(outcomeOf(error), { error: nameAndCode(error) })
      await audit.recordDurably(failed).catch((failure: unknown) => reportUnrecorded(action, failure))
      throw error
    }
    await audit.recordDurably(event('success', chosen('result', options.result, result)))
    return result
  }
  Object.defineProperty(call, 'name', { value: work.name, configurable: true })
  Object.defineProperty(call, 'length', { value: work.length, configurable: true })
  return call
}

function chosen<T>(name: string, choice: boolean | ((value: T) => unknown) | undefined, value: T): Facts {
  if (choice === undefined || choice === false) return {}
  return { [name]: choice === true ? value : choice(value) }
}

function outcomeOf(error: unknown): Outcome {
  return denialCodes.has(codeOf(error)) ? 'denied' : 'failure'
}

/** The message is left out: it is written for people and may quote anything. */
function nameAndCode(error: unknown): Facts {
  const code = codeOf(error)
  return { name: error instanceof Error ? error.name : typeof error, ...(code !== undefined && { code }) }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as { code?: unknown }).code : undefined
}
