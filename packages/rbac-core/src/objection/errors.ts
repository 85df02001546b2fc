import { RbacError } from '../errors.ts'

/** Says that there is no such user. Code `UNKNOWN_USER`. */
export class UnknownUserError extends RbacError {
  static override readonly code = 'UNKNOWN_USER' as const
  declare readonly code: 'UNKNOWN_USER'
  readonly userId: string

  constructor(userId: string) {
    super('UNKNOWN_USER', `There is no user ${JSON.stringify(userId.slice(0, 80))}`)
    this.userId = userId
  }
}

/** Says that a role of this name exists. Code `ROLE_EXISTS`. */
export class RoleExistsError extends RbacError {
  static override readonly code = 'ROLE_EXISTS' as const
  declare readonly code: 'ROLE_EXISTS'
  readonly role: string

  constructor(role: string) {
    super('ROLE_EXISTS', `The role ${JSON.stringify(role)} exists`)
    this.role = role
  }
}

/** Says that a system role can be neither deleted, renamed nor deactivated. Code `SYSTEM_ROLE`. */
export class SystemRoleError extends RbacError {
  static override readonly code = 'SYSTEM_ROLE' as const
  declare readonly code: 'SYSTEM_ROLE'
  readonly role: string

  constructor(role: string) {
    super('SYSTEM_ROLE', `The system role ${JSON.stringify(role)} can be neither deleted, renamed nor deactivated`)
    this.role = role
  }
}

/** Says that somebody else changed the role since `ifUpdatedAt`. Code `ROLE_CHANGED`. */
export class RoleChangedError extends RbacError {
  static override readonly code = 'ROLE_CHANGED' as const
  declare readonly code: 'ROLE_CHANGED'
  readonly role: string
  readonly updatedAt: Date

  constructor(role: string, updatedAt: Date) {
    super('ROLE_CHANGED', `The role ${JSON.stringify(role)} was changed meanwhile, at ${updatedAt.toISOString()}`)
    this.role = role
    this.updatedAt = updatedAt
  }
}

/** Says that the grantor does not hold what would be granted. Code `GRANT_NOT_HELD`. */
export class GrantNotHeldError extends RbacError {
  static override readonly code = 'GRANT_NOT_HELD' as const
  declare readonly code: 'GRANT_NOT_HELD'
  readonly grantedBy: string
  readonly permissions: readonly string[]

  constructor(grantedBy: string, permissions: readonly string[]) {
    super('GRANT_NOT_HELD', `Nobody may grant what they do not hold, here ${permissions.join(', ')}`)
    this.grantedBy = grantedBy
    this.permissions = permissions
  }
}
