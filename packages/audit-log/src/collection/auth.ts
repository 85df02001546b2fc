import type { AuditEvent, Outcome, Severity } from '../audit-event.ts'

/** The account an event is about. A login that names no known account leaves the id out: the name typed may be a password. */
export interface AccountFacts {
  readonly userId?: string | undefined
  /** Further facts, sanitized like all metadata. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

interface KnownAccountFacts extends AccountFacts {
  readonly userId: string
}

interface TokenFacts extends AccountFacts {
  /** The token's public id, never the token. */
  readonly tokenId: string
}

interface SessionEndFacts extends KnownAccountFacts {
  readonly reason: 'logout' | 'timeout' | 'revoked'
}

interface RightsFacts extends KnownAccountFacts {
  /** The roles or rights before and after. */
  readonly from: readonly string[]
  readonly to: readonly string[]
}

/** The security events by name, each with what it needs to tell. */
export interface SecurityEvents {
  authn_login_success: KnownAccountFacts
  authn_login_successafterfail: KnownAccountFacts & { readonly failures: number }
  authn_login_fail: AccountFacts & { readonly reason?: string | undefined }
  authn_login_fail_max: AccountFacts & { readonly limit: number }
  authn_login_lock: KnownAccountFacts & { readonly reason: 'maxretries' | 'suspicious' | 'customer' | 'other' }
  authn_password_change: KnownAccountFacts
  authn_password_change_fail: AccountFacts & { readonly reason?: string | undefined }
  authn_impossible_travel: KnownAccountFacts & { readonly regions: readonly [string, string] }
  authn_token_created: TokenFacts & { readonly entitlements?: readonly string[] | undefined }
  authn_token_revoked: TokenFacts
  authn_token_reuse: TokenFacts
  authn_token_delete: TokenFacts
  session_created: KnownAccountFacts
  session_renewed: KnownAccountFacts
  session_expired: SessionEndFacts
  session_use_after_expire: AccountFacts
  authz_change: RightsFacts
  authz_admin: AccountFacts & { readonly event: string }
  privilege_permissions_changed: AccountFacts & {
    /** What the rights are on, as `type:id`. */
    readonly object: string
    readonly from: readonly string[]
    readonly to: readonly string[]
  }
  user_created: KnownAccountFacts
  user_updated: KnownAccountFacts
  user_archived: KnownAccountFacts
  user_deleted: KnownAccountFacts
  excess_rate_limit_exceeded: AccountFacts & { readonly limit: number }
  malicious_csrf: AccountFacts & { readonly reason?: string | undefined }
}

/** The name of a security event. */
export type SecurityEventName = keyof SecurityEvents

const levels: Readonly<Record<SecurityEventName, readonly [Severity, Outcome]>> = {
  authn_login_success: ['info', 'success'],
  authn_login_successafterfail: ['info', 'success'],
  authn_login_fail: ['warn', 'failure'],
  authn_login_fail_max: ['warn', 'denied'],
  authn_login_lock: ['warn', 'success'],
  authn_password_change: ['info', 'success'],
  authn_password_change_fail: ['critical', 'failure'],
  authn_impossible_travel: ['critical', 'success'],
  authn_token_created: ['info', 'success'],
  authn_token_revoked: ['info', 'success'],
  authn_token_reuse: ['critical', 'denied'],
  authn_token_delete: ['warn', 'success'],
  session_created: ['info', 'success'],
  session_renewed: ['info', 'success'],
  session_expired: ['info', 'success'],
  session_use_after_expire: ['critical', 'denied'],
  authz_change: ['warn', 'success'],
  authz_admin: ['warn', 'success'],
  privilege_permissions_changed: ['warn', 'success'],
  user_created: ['warn', 'success'],
  user_updated: ['warn', 'success'],
  user_archived: ['warn', 'success'],
  user_deleted: ['warn', 'success'],
  excess_rate_limit_exceeded: ['warn', 'denied'],
  malicious_csrf: ['critical', 'denied'],
}

/** The facts that every event may have, and those of some. */
interface AnyFacts extends AccountFacts {
  readonly from?: readonly string[]
  readonly to?: readonly string[]
  readonly object?: string
}

/**
 * Makes the event of a login, a password, a token, a session or a change of rights, with the vocabulary's name and level.
 *
 * The account the event is about becomes its resource; who acted comes from the audit context, as for every event. A
 * logout is `session_expired` with reason `logout`. `authz_fail` is not made here: denials are collected by themselves.
 *
 * Source: OWASP Application Logging Vocabulary.
 *
 * @param action - The event's name; a misspelt one does not compile.
 * @param facts - What this event tells.
 * @returns The event, to be given to `record` or `recordDurably`.
 * @example
 * ```ts
 * import { securityEvent, type AuditLog } from '@countersign/audit-log'
 *
 * declare const audit: AuditLog
 * await audit.recordDurably(securityEvent('authn_login_fail', { userId: 'u1', reason: 'wrong password' }))
 * await audit.recordDurably(securityEvent('session_expired', { userId: 'u1', reason: 'logout' }))
 * ```
 */
export function securityEvent<Name extends SecurityEventName>(action: Name, facts: SecurityEvents[Name]): AuditEvent {
  const [severity, outcome] = levels[action]
  const { userId, from, to, object, metadata, ...rest }: AnyFacts = facts
  return {
    action,
    severity,
    outcome,
    resource: resourceOf(userId, object),
    ...(from && { oldValues: { rights: from } }),
    ...(to && { newValues: { rights: to } }),
    metadata: { ...rest, ...(object !== undefined && userId !== undefined && { userId }), ...metadata },
  }
}

function resourceOf(userId: string | undefined, object: string | undefined): AuditEvent['resource'] {
  if (object === undefined) return userId === undefined ? undefined : { type: 'user', id: userId }
  const colon = object.indexOf(':')
  return colon < 0 ? { type: object } : { type: object.slice(0, colon), id: object.slice(colon + 1) }
}
