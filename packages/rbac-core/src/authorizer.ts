import type { Access, ScopeOption } from './access.ts'
import { FreshnessState, type AuthorizerState } from './authorizer-events.ts'
import type { PermissionCatalog } from './catalog.ts'
import { ChangeWatch } from './change-watch.ts'
import { CompiledPolicy } from './compiled-policy.ts'
import { GrantStoreUnavailableError, InvalidDefinitionError } from './errors.ts'
import type { Explanation } from './explain.ts'
import type { GrantCache, GrantChanges, GrantStore, GrantVersion } from './grant-store.ts'
import { KeptEntries, type Kept } from './kept-entries.ts'
import { Leases, neverStale } from './lease.ts'
import { observedStore } from './observed-store.ts'
import { keptFor, stalenessBudget } from './staleness-budget.ts'
import { resolveKept } from './resolve-kept.ts'
import { subjectSource, type KeptSubject, type SubjectSource } from './subject-source.ts'

/** Where an authorizer reads, and how old its answers may be. */
export interface AuthorizerOptions<Permission extends string> {
  readonly permissions: PermissionCatalog<Permission>
  readonly store: GrantStore
  /**
   * How long after its commit a revoked permission may still be honoured, in milliseconds, from 100 to a day. A smaller
   * bound asks the store more often.
   */
  readonly maxStalenessMs: number
  /** A cache that processes share, between this process and the store. It is not used for bounds under 3 seconds. */
  readonly cache?: GrantCache | undefined
  /** The feed of committed changes: with it a change normally works at once, and the bound is for when it fails. */
  readonly changes?: GrantChanges | undefined
  /** The permission that lets its holder grant what they do not hold; explanations name its holders too. */
  readonly administrativePermission?: NoInfer<Permission> | undefined
}

/** How fresh an access must be, and which roles are in use. */
export interface AccessOptions {
  /** `'now'` asks the store and no cache. */
  readonly freshness?: 'now' | undefined
  /** The token of a write: the answer is from that state or a later one. */
  readonly atLeast?: GrantVersion | undefined
  /** The roles in use, of those the subject holds or inherits; without it all are. */
  readonly activeRoles?: readonly string[] | undefined
}

/** An explanation that also tells whom to ask. */
export interface AuthorizerExplanation extends Explanation {
  /** For a denial that a role would lift: subjects who have the permission and so may grant it, 20 at most. */
  readonly mayBeGrantedBy?: readonly string[]
}

/** Resolves subjects to accesses that are never older than the bound. */
export interface Authorizer<Permission extends string = string> {
  readonly maxStalenessMs: number
  /** `'fresh'`, or `'degraded'` while the feed or the store is away and only the bound holds. */
  readonly state: AuthorizerState
  /**
   * Resolves the access of a subject; an unknown subject gets one that denies everything.
   *
   * Rejects with `GRANT_STORE_UNAVAILABLE` when nothing young enough can be had, and with `SEPARATION_OF_DUTY` when the
   * roles in use break a dynamic rule.
   */
  accessFor(subjectId: string, options?: AccessOptions): Promise<Access<Permission>>
  /** Explains a subject's permission, with who may grant it if the store can tell. Rejects as `accessFor` does. */
  explain(
    subjectId: string,
    permission: Permission,
    options?: ScopeOption & AccessOptions,
  ): Promise<AuthorizerExplanation>
  /** Ends the feed and the timer, and every access it gave. */
  close(): Promise<void>
}

interface KeptPolicy<Permission extends string> extends Kept {
  readonly policy: CompiledPolicy<Permission>
  /** Of the feed, when the load began. */
  readonly gaps: number
}

/** Subjects kept in this process; more are loaded again. */
const maxSubjects = 10_000
const policyKey = 'policy'
/** Enough to find somebody to ask. */
const maxGrantors = 20

/**
 * Creates the authorizer of a process: it loads roles and assignments, keeps them for a bounded time, and resolves
 * accesses.
 *
 * @param options - The catalog, the store and the bound; a shared cache and a feed of changes if there are.
 * @returns The authorizer; close it when the process ends.
 * @throws `INVALID_DEFINITION` for a bound that is not from 100 milliseconds to a day.
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions, definePolicy, memoryGrantStore } from '@countersign/rbac-core'
 *
 * const permissions = definePermissions({ document: ['read'] })
 * const policy = definePolicy(permissions, { roles: { reader: { permissions: ['document:read'] } } })
 * const store = memoryGrantStore({ policy, assignments: { u1: ['reader'] } })
 * const authorizer = createAuthorizer({ permissions, store, maxStalenessMs: 30_000 })
 * const access = await authorizer.accessFor('u1')
 * access.can('document:read')
 * await authorizer.close()
 * ```
 */
export function createAuthorizer<Permission extends string>(
  options: AuthorizerOptions<Permission>,
): Authorizer<Permission> {
  return new BoundedAuthorizer(options)
}

class BoundedAuthorizer<Permission extends string> implements Authorizer<Permission> {
  readonly maxStalenessMs: number
  readonly #catalog: PermissionCatalog<Permission>
  readonly #store: GrantStore
  readonly #state = new FreshnessState()
  readonly #leases: Leases
  readonly #source: SubjectSource
  readonly #subjects: KeptEntries<KeptSubject>
  readonly #policies: KeptEntries<KeptPolicy<Permission>>
  readonly #watch: ChangeWatch
  readonly #administrativePermission: Permission | undefined
  #closed = false

  constructor(options: AuthorizerOptions<Permission>) {
    const { permissions, store, maxStalenessMs, cache, changes, administrativePermission } = options
    if (administrativePermission !== undefined) permissions.indexOf(administrativePermission)
    this.#administrativePermission = administrativePermission
    const budget = stalenessBudget(maxStalenessMs, { shared: cache !== undefined })
    this.maxStalenessMs = maxStalenessMs
    this.#catalog = permissions
    this.#store = observedStore(store, budget.loadMs, this.#state)
    this.#leases = new Leases(maxStalenessMs)
    this.#source = subjectSource({ store: this.#store, cache, budget, leases: this.#leases })
    this.#subjects = new KeptEntries({ maxEntries: maxSubjects, load: (id, floor) => this.#source.load(id, floor) })
    this.#policies = new KeptEntries({ maxEntries: 1, load: (_key, _floor, kept) => this.#loadPolicy(kept) })
    this.#watch = new ChangeWatch({ store: this.#store, state: this.#state, forget: this.#source.forget })
    if (changes !== undefined) this.#watch.start(changes)
  }

  get state(): AuthorizerState {
    return this.#state.current
  }

  async accessFor(subjectId: string, options: AccessOptions = {}): Promise<Access<Permission>> {
    if (typeof subjectId !== 'string' || subjectId === '') {
      throw new InvalidDefinitionError('subjectId', 'expected a string that is not empty')
    }
    checkOptions(options)
    if (this.#watch.mustAsk) await this.#watch.ask()
    const { policy, subject } = await this.#load(subjectId, options)
    if (this.#closed) throw new GrantStoreUnavailableError('The authorizer is closed')
    if (subject.record === undefined) {
      return policy.policy.resolve({ id: subjectId, roles: [], isActive: false, isKnown: false }, neverStale)
    }
    return resolveKept(this.#leases, policy, subject, subject.record, {
      id: subjectId,
      activeRoles: options.activeRoles,
    })
  }

  async explain(
    subjectId: string,
    permission: Permission,
    options: ScopeOption & AccessOptions = {},
  ): Promise<AuthorizerExplanation> {
    const explanation = (await this.accessFor(subjectId, options)).explain(permission, options)
    if (explanation.wouldBeGrantedBy.length === 0 || this.#store.loadHolders === undefined) return explanation
    const administrative = this.#administrativePermission
    const names = administrative === undefined ? [permission] : [permission, administrative]
    const mayBeGrantedBy = await this.#store.loadHolders(names, { scope: options.scope, limit: maxGrantors })
    return { ...explanation, mayBeGrantedBy }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#leases.close()
    await this.#watch.close()
  }

  async #load(
    subjectId: string,
    { freshness, atLeast = 0 }: AccessOptions,
  ): Promise<{ policy: KeptPolicy<Permission>; subject: KeptSubject }> {
    if (freshness === 'now') return this.#loadNow(subjectId)
    const policyFloor = Math.max(this.#watch.floors.everybody, atLeast)
    const subjectFloor = Math.max(this.#watch.floors.of(subjectId), atLeast)
    const keptPolicy = this.#policies.peek(policyKey, policyFloor)
    const keptSubject = this.#subjects.peek(subjectId, subjectFloor)
    if (keptPolicy && keptSubject) return { policy: keptPolicy, subject: keptSubject }
    const [policy, subject] = await Promise.all([
      keptPolicy ?? this.#policies.get(policyKey, policyFloor),
      keptSubject ?? this.#subjects.get(subjectId, subjectFloor),
    ])
    return { policy, subject }
  }

  async #loadNow(subjectId: string): Promise<{ policy: KeptPolicy<Permission>; subject: KeptSubject }> {
    const keptPolicy = this.#policies.peek(policyKey, 0)
    const [policy, subject] = await Promise.all([this.#loadPolicy(keptPolicy), this.#source.loadFromStore(subjectId)])
    this.#policies.put(policyKey, policy)
    this.#subjects.put(subjectId, subject)
    return { policy, subject }
  }

  /** Loads the policy; the version alone is enough to see that nothing has changed, if no change was missed since. */
  async #loadPolicy(kept: KeptPolicy<Permission> | undefined): Promise<KeptPolicy<Permission>> {
    const start = performance.now()
    const times = keptFor(this.#leases, start, this.maxStalenessMs)
    const { gaps } = this.#watch
    if (kept?.gaps === gaps) {
      const version = await this.#store.loadVersion()
      if (version === kept.version) return { ...kept, ...times }
    }
    const record = await this.#store.loadPolicy()
    const policy = new CompiledPolicy(this.#catalog, record, { strict: false })
    return { policy, version: record.version, gaps, ...times }
  }
}

/** A token that is no number would compare as reached with everything. */
function checkOptions({ freshness, atLeast }: AccessOptions): void {
  if (freshness !== undefined && freshness !== 'now') throw new InvalidDefinitionError('freshness', "expected 'now'")
  if (atLeast !== undefined && !Number.isSafeInteger(atLeast)) {
    throw new InvalidDefinitionError('atLeast', 'expected the token of a write, a whole number')
  }
}
