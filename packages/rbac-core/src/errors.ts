import type { Decision } from './decision.ts'

const marker = Symbol.for('countersign.rbac-core.error')

/**
 * Is the base of every error this package throws; tell them apart by `code`.
 *
 * @example
 * ```ts
 * import { RbacError } from '@countersign/rbac-core'
 *
 * export function codeOf(error: unknown): string | undefined {
 *   return RbacError.isInstance(error) ? error.code : undefined
 * }
 * ```
 */
export class RbacError extends Error {
  static readonly code: string = 'RBAC_ERROR'
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
    Object.defineProperty(this, marker, { value: code })
  }

  /** Tells whether `value` is this error, also when another copy of the package threw it. */
  static isInstance<Instance extends RbacError>(
    this: { readonly code: string; readonly prototype: Instance },
    value: unknown,
  ): value is Instance {
    if (!(value instanceof Error) || !(marker in value)) return false
    return this.code === RbacError.code || value[marker] === this.code
  }
}

/** Says that a catalog, a policy, a guard or an option is wrong; `field` names the part. Code `INVALID_DEFINITION`. */
export class InvalidDefinitionError extends RbacError {
  static override readonly code = 'INVALID_DEFINITION' as const
  declare readonly code: 'INVALID_DEFINITION'
  readonly field: string

  constructor(field: string, expected: string) {
    super('INVALID_DEFINITION', `${field}: ${expected}`)
    this.field = field
  }
}

/** Says that the catalog has no permission of this name. Code `UNKNOWN_PERMISSION`. */
export class UnknownPermissionError extends RbacError {
  static override readonly code = 'UNKNOWN_PERMISSION' as const
  declare readonly code: 'UNKNOWN_PERMISSION'
  readonly permission: string

  constructor(permission: string) {
    const wildcard = permission.includes('*') ? '; wildcards can be granted but not asked for' : ''
    super('UNKNOWN_PERMISSION', `The catalog has no permission ${quote(permission)}${wildcard}`)
    this.permission = permission
  }
}

/** Says that the policy has no role of this name. Code `UNKNOWN_ROLE`. */
export class UnknownRoleError extends RbacError {
  static override readonly code = 'UNKNOWN_ROLE' as const
  declare readonly code: 'UNKNOWN_ROLE'
  readonly role: string

  constructor(role: string, where: string) {
    super('UNKNOWN_ROLE', `${where} names the role ${quote(role)}, which the policy does not have`)
    this.role = role
  }
}

/** Says that roles inherit each other in a circle; `path` begins and ends with the same role. Code `ROLE_CYCLE`. */
export class RoleCycleError extends RbacError {
  static override readonly code = 'ROLE_CYCLE' as const
  declare readonly code: 'ROLE_CYCLE'
  readonly path: readonly string[]

  constructor(path: readonly string[]) {
    super('ROLE_CYCLE', `Roles inherit each other in a circle: ${path.map(quote).join(' > ')}`)
    this.path = path
  }
}

/** Says that a subject would hold, or activate, too many roles of one rule. Code `SEPARATION_OF_DUTY`. */
export class SeparationOfDutyError extends RbacError {
  static override readonly code = 'SEPARATION_OF_DUTY' as const
  declare readonly code: 'SEPARATION_OF_DUTY'
  readonly rule: string
  readonly kind: 'static' | 'dynamic'
  readonly roles: readonly string[]
  readonly subjectId: string | undefined

  constructor(violation: {
    rule: string
    kind: 'static' | 'dynamic'
    atMost: number
    roles: readonly string[]
    subjectId?: string | undefined
  }) {
    const { rule, kind, atMost, roles, subjectId } = violation
    const verb = kind === 'static' ? 'hold' : 'activate'
    super(
      'SEPARATION_OF_DUTY',
      `Rule ${quote(rule)} lets a subject ${verb} at most ${atMost} of its roles, not ${roles.map(quote).join(' and ')}`,
    )
    this.rule = rule
    this.kind = kind
    this.roles = roles
    this.subjectId = subjectId
  }
}

/** Says that guarded code ran without an access. Code `UNAUTHENTICATED`. */
export class UnauthenticatedError extends RbacError {
  static override readonly code = 'UNAUTHENTICATED' as const
  declare readonly code: 'UNAUTHENTICATED'

  constructor() {
    super('UNAUTHENTICATED', 'No subject is known here: resolve an access and run this code in runWithAccess')
  }
}

/** Says that a subject may not do this; `decision` holds the reason as data. Code `PERMISSION_DENIED`. */
export class PermissionDeniedError extends RbacError {
  static override readonly code = 'PERMISSION_DENIED' as const
  declare readonly code: 'PERMISSION_DENIED'
  readonly decision: Decision

  constructor(decision: Decision, options?: ErrorOptions) {
    super('PERMISSION_DENIED', `Denied: ${decision.permission} (${decision.reason})`, options)
    this.decision = decision
  }
}

/** Says that the access in use is older than `maxStalenessMs` and must be resolved again. Code `STALE_ACCESS`. */
export class StaleAccessError extends RbacError {
  static override readonly code = 'STALE_ACCESS' as const
  declare readonly code: 'STALE_ACCESS'
  readonly decision: Decision

  constructor(decision: Decision) {
    super('STALE_ACCESS', `Denied: ${decision.permission} (the access is older than its bound, resolve it again)`)
    this.decision = decision
  }
}

/** Says that no access young enough could be loaded; `cause` is the store's error. Code `GRANT_STORE_UNAVAILABLE`. */
export class GrantStoreUnavailableError extends RbacError {
  static override readonly code = 'GRANT_STORE_UNAVAILABLE' as const
  declare readonly code: 'GRANT_STORE_UNAVAILABLE'

  constructor(message: string, options?: ErrorOptions) {
    super('GRANT_STORE_UNAVAILABLE', message, options)
  }
}

function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}
