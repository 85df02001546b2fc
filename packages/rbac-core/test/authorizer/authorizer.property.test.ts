import { compilePolicy, createAuthorizer, definePermissions, memoryGrantStore } from '@countersign/rbac-core'
import fc from 'fast-check'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { chaosCache, chaosFeed, chaosStore, type ChaosFeed, type ChaosStore } from '../support/chaos.ts'

const permissions = definePermissions({ document: ['read', 'update'], user: ['manage'] })
const roleNames = ['a', 'b', 'c'] as const
const subjects = ['u1', 'u2'] as const
type Grants = Record<(typeof roleNames)[number], (typeof permissions.names)[number][]>

const anyGrants: fc.Arbitrary<Grants> = fc.record({
  a: fc.subarray([...permissions.names]),
  b: fc.subarray([...permissions.names]),
  c: fc.subarray([...permissions.names]),
})
const process = fc.nat(1)
const step = fc.oneof(
  fc.record({
    kind: fc.constant('assign' as const),
    id: fc.constantFrom(...subjects),
    roles: fc.subarray([...roleNames]),
  }),
  fc.record({ kind: fc.constant('remove' as const), id: fc.constantFrom(...subjects) }),
  fc.record({ kind: fc.constant('policy' as const), grants: anyGrants }),
  fc.record({ kind: fc.constant('ask' as const), process, id: fc.constantFrom(...subjects) }),
  fc.record({ kind: fc.constant('ask now' as const), process, id: fc.constantFrom(...subjects) }),
  fc.record({ kind: fc.constant('ask at least' as const), process, id: fc.constantFrom(...subjects) }),
  fc.record({ kind: fc.constant('feed fails' as const), process }),
  fc.record({ kind: fc.constant('feed is back' as const), process }),
  fc.record({ kind: fc.constant('store fails' as const), process }),
  fc.record({ kind: fc.constant('store is back' as const), process }),
  fc.record({ kind: fc.constant('cache' as const), fault: fc.constantFrom('none' as const, 'down' as const) }),
)

function policyOf(grants: Grants): ReturnType<typeof compilePolicy<(typeof permissions.names)[number]>> {
  const roles = roleNames.map(name => ({ name, permissions: grants[name], inherits: [], isActive: true }))
  return compilePolicy(permissions, { version: 0, roles, separationOfDuty: [], inactivePermissions: [] })
}

function allowed(grants: Grants, roles: readonly (typeof roleNames)[number][]): string[] {
  return permissions.names.filter(name => roles.some(role => grants[role].includes(name)))
}

interface Node {
  readonly store: ChaosStore
  readonly feed: ChaosFeed
  readonly authorizer: ReturnType<typeof createAuthorizer<(typeof permissions.names)[number]>>
  /** False from the first lost message to the moment when the feed is back. */
  hears: boolean
  /** True while it has to look at the version, as it must whenever the feed connects. */
  mustLook: boolean
  /** True once it has looked while the store was down: it does so again after a second, when this test is over. */
  lookedInVain: boolean
}

test('two processes with one cache answer from the newest state, or from one that a failure of theirs explains', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyGrants,
      fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
      async (firstGrants, steps) => {
        let grants = firstGrants
        const assigned = new Map<string, readonly (typeof roleNames)[number][]>()
        const memory = memoryGrantStore({ policy: policyOf(grants) })
        const cache = chaosCache()
        const nodes: Node[] = [0, 1].map(() => {
          const store = chaosStore(memory)
          const feed = chaosFeed(memory.changes)
          const options = { permissions, store, changes: feed, cache, maxStalenessMs: 3_600_000 }
          return {
            store,
            feed,
            authorizer: createAuthorizer(options),
            hears: true,
            mustLook: true,
            lookedInVain: false,
          }
        })
        let token = 0
        const pastGrants: Grants[] = [grants]
        const pastRoles = subjects.map((): (readonly (typeof roleNames)[number][])[] => [[]])
        const wrote = (version: number): void => {
          token = version
          pastGrants.push(grants)
          subjects.forEach((id, index) => pastRoles[index]?.push(assigned.get(id) ?? []))
        }

        for (const step of steps) {
          const node = nodes['process' in step ? step.process : 0]!
          switch (step.kind) {
            case 'assign':
              assigned.set(step.id, step.roles)
              wrote(memory.setSubject(step.id, step.roles))
              break
            case 'remove':
              assigned.delete(step.id)
              wrote(memory.deleteSubject(step.id))
              break
            case 'policy':
              grants = step.grants
              wrote(memory.setPolicy(policyOf(grants)))
              break
            case 'feed fails':
              node.feed.deaf = true
              node.hears = false
              node.feed.state('disconnected')
              break
            case 'feed is back':
              node.feed.deaf = false
              node.hears = true
              node.mustLook = true
              node.feed.state('connected')
              break
            case 'store fails':
              node.store.fault = 'down'
              break
            case 'store is back':
              node.store.fault = 'none'
              break
            case 'cache':
              cache.fault = step.fault
              break
            case 'ask':
            case 'ask now':
            case 'ask at least': {
              const options =
                step.kind === 'ask' ? {} : step.kind === 'ask now' ? { freshness: 'now' as const } : { atLeast: token }
              if (node.mustLook && node.store.fault === 'down') node.lookedInVain = true
              node.mustLook = false
              let granted: readonly string[]
              try {
                granted = (await node.authorizer.accessFor(step.id, options)).granted()
              } catch (error) {
                expect(error).toMatchObject({ code: 'GRANT_STORE_UNAVAILABLE' })
                expect(node.store.fault).toBe('down')
                // The other of the two loads may be under way still, and would fail the next question too.
                await setImmediate()
                break
              }
              const mustBeNewest =
                step.kind !== 'ask' || (node.hears && node.store.fault === 'none' && !node.lookedInVain)
              if (mustBeNewest) expect(granted).toEqual(allowed(grants, assigned.get(step.id) ?? []))
              else {
                // Subject and policy are two reads, so they may be from two states, but from states that were.
                const roles = pastRoles[subjects.indexOf(step.id)] ?? []
                const possible = roles.flatMap(held => pastGrants.map(past => allowed(past, held)))
                expect(possible).toContainEqual(granted)
              }
              break
            }
          }
        }
        await Promise.all(nodes.map(({ authorizer }) => authorizer.close()))
      },
    ),
    { numRuns: 400 },
  )
})
