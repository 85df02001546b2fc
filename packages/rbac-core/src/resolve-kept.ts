import type { Access } from './access.ts'
import type { CompiledPolicy } from './compiled-policy.ts'
import { GrantStoreUnavailableError } from './errors.ts'
import type { SubjectRecord } from './grant-store.ts'
import type { Kept } from './kept-entries.ts'
import type { Leases } from './lease.ts'
import type { KeptSubject } from './subject-source.ts'

/** Resolves a kept subject under a kept policy, to an access that ends when the first of their parts does. */
export function resolveKept<Permission extends string>(
  leases: Leases,
  { policy, staleAt }: Kept & { readonly policy: CompiledPolicy<Permission> },
  subject: KeptSubject,
  record: SubjectRecord,
  who: { readonly id: string; readonly activeRoles?: readonly string[] | undefined },
): Access<Permission> {
  const now = performance.now()
  let end = Math.min(staleAt, subject.staleAt)
  const roles = record.assignments.filter(({ expiresInMs }) => {
    if (expiresInMs === undefined) return true
    const endsAt = leases.endBefore(subject.loadedAt + expiresInMs)
    if (endsAt <= now) return false
    end = Math.min(end, endsAt)
    return true
  })
  // The wait for the policy may have outlived the subject, or the other way round.
  if (end <= now) throw new GrantStoreUnavailableError('Roles and assignments took longer to load than they may be old')
  const { last } = subject
  if (who.activeRoles === undefined && last?.end === end && last.policy === policy) {
    return last.access as Access<Permission>
  }
  const { isActive, isSuperuser } = record
  const access = policy.resolve({ ...who, roles, isActive, isSuperuser }, leases.until(end))
  if (who.activeRoles === undefined) subject.last = { end, policy, access }
  return access
}
