import { InvalidDefinitionError, UnknownRoleError } from './errors.ts'
import type { GrantChangeListener, GrantChanges, GrantStore, GrantVersion, SubjectRecord } from './grant-store.ts'
import { compilePolicy, type Policy } from './policy.ts'
import { assertSeparated } from './separation.ts'

/** A role given in memory; `expiresInMs` counts from the call that gives it. */
export interface MemoryAssignment<Role extends string> {
  readonly role: Role
  readonly scope?: string | undefined
  readonly expiresInMs?: number | undefined
}

/** A subject in memory: its roles, or its roles and flags. */
export type MemorySubject<Role extends string> =
  | readonly (Role | MemoryAssignment<Role>)[]
  | {
      readonly roles: readonly (Role | MemoryAssignment<Role>)[]
      readonly isActive?: boolean | undefined
      readonly isSuperuser?: boolean | undefined
    }

/** Keeps roles and assignments in memory: for tests, and for applications whose policy is code. */
export interface MemoryGrantStore<Role extends string = string> extends GrantStore {
  /** The feed of this store's changes. */
  readonly changes: GrantChanges
  /** Gives a subject these roles and flags in place of what it had. Throws `UNKNOWN_ROLE` or `SEPARATION_OF_DUTY`. */
  setSubject(id: string, subject: MemorySubject<Role>): GrantVersion
  /** Removes a subject with all it had. */
  deleteSubject(id: string): GrantVersion
  /** Replaces all roles. Throws `SEPARATION_OF_DUTY` when a subject's roles break one of the new rules. */
  setPolicy(policy: Policy): GrantVersion
}

interface StoredSubject {
  readonly isActive: boolean
  readonly isSuperuser: boolean
  readonly assignments: readonly { role: string; scope: string | undefined; endsAt: number | undefined }[]
}

/**
 * Creates a store in memory.
 *
 * @param options - The policy, and the roles of each subject by its id.
 * @returns The store.
 * @throws `UNKNOWN_ROLE`, `SEPARATION_OF_DUTY` or `INVALID_DEFINITION`.
 */
export function memoryGrantStore<Role extends string>(options: {
  readonly policy: Policy<string, Role>
  readonly assignments?: Readonly<Record<string, MemorySubject<NoInfer<Role>>>> | undefined
}): MemoryGrantStore<Role> {
  const subjects = new Map<string, StoredSubject>()
  const listeners = new Set<GrantChangeListener>()
  let policy: Policy = options.policy
  let version: GrantVersion = 1

  function check(id: string, names: readonly string[]): void {
    for (const name of names) {
      if (policy.graph.indexOf(name) === undefined) throw new UnknownRoleError(name, `assignments.${id}`)
    }
    assertSeparated(policy, names, 'static', id)
  }

  function store(id: string, subject: MemorySubject<string>): void {
    const { roles, isActive = true, isSuperuser = false } = 'roles' in subject ? subject : { roles: subject }
    const assignments = roles.map(given => {
      const { role, scope, expiresInMs }: MemoryAssignment<string> = typeof given === 'string' ? { role: given } : given
      if (expiresInMs !== undefined && Number.isNaN(expiresInMs)) {
        throw new InvalidDefinitionError(`assignments.${id}.expiresInMs`, 'expected milliseconds')
      }
      return { role, scope, endsAt: expiresInMs === undefined ? undefined : performance.now() + expiresInMs }
    })
    check(
      id,
      assignments.map(({ role }) => role),
    )
    subjects.set(id, { isActive, isSuperuser, assignments })
  }

  function changed(subjectId?: string): GrantVersion {
    version += 1
    for (const listener of listeners) listener.onChange({ version, subjectId })
    return version
  }

  function read({ isActive, isSuperuser, assignments }: StoredSubject): SubjectRecord {
    const now = performance.now()
    const current = assignments.filter(({ endsAt }) => endsAt === undefined || endsAt > now)
    return {
      version,
      isActive,
      isSuperuser,
      assignments: current.map(({ role, scope, endsAt }) => ({
        role,
        ...(scope !== undefined && { scope }),
        ...(endsAt !== undefined && { expiresInMs: endsAt - now }),
      })),
    }
  }

  for (const [id, subject] of Object.entries<MemorySubject<string>>(options.assignments ?? {})) store(id, subject)

  return {
    async loadPolicy() {
      return { ...policy.record, version }
    },
    async loadSubject(id) {
      const subject = subjects.get(id)
      return subject && read(subject)
    },
    async loadVersion() {
      return version
    },
    async loadHolders(names, { scope, limit }) {
      // A dynamic rule limits a session; here all roles of a subject count together.
      const { catalog, record } = policy
      const whole = compilePolicy(catalog, { ...record, separationOfDuty: [] })
      const permissions = names.filter(name => catalog.has(name))
      const holders = [...subjects].filter(([id, subject]) => {
        const { assignments: roles, isActive, isSuperuser } = read(subject)
        return whole.accessFor({ id, roles, isActive, isSuperuser }).canAny(permissions, { scope })
      })
      return holders.slice(0, limit).map(([id]) => id)
    },
    setSubject(id, subject) {
      store(id, subject)
      return changed(id)
    },
    deleteSubject(id) {
      subjects.delete(id)
      return changed(id)
    },
    setPolicy(next) {
      const before = policy
      policy = next
      try {
        for (const [id, { assignments }] of subjects) {
          check(
            id,
            assignments.map(({ role }) => role),
          )
        }
      } catch (error) {
        policy = before
        throw error
      }
      return changed()
    },
    changes: {
      async subscribe(listener) {
        listeners.add(listener)
        listener.onState('connected')
        return {
          async close() {
            listeners.delete(listener)
          },
        }
      },
    },
  }
}
