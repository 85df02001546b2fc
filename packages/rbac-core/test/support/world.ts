import {
  createAuthorizer,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  type Authorizer,
  type GrantCache,
  type MemoryGrantStore,
  type MemorySubject,
  type PermissionName,
  type RoleName,
} from '@countersign/rbac-core'
import { afterEach } from 'vitest'
import { chaosFeed, chaosStore, type ChaosFeed, type ChaosStore } from './chaos.ts'

export const permissions = definePermissions({ document: ['read', 'update'], user: ['manage'] })
export const policy = definePolicy(permissions, {
  roles: {
    viewer: { permissions: ['document:read'] },
    editor: { inherits: ['viewer'], permissions: ['document:update'] },
    admin: { permissions: ['*'] },
  },
  separationOfDuty: [{ name: 'one-hat', kind: 'dynamic', roles: ['editor', 'admin'], atMost: 1 }],
})
export type Role = RoleName<typeof policy>

export interface World {
  readonly memory: MemoryGrantStore<Role>
  readonly store: ChaosStore
  readonly feed: ChaosFeed
  readonly authorizer: Authorizer<PermissionName<typeof permissions>>
}

const open: Authorizer[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map(authorizer => authorizer.close()))
})

export function memoryStore(
  assignments: Record<string, MemorySubject<Role>> = { u1: ['editor'] },
): MemoryGrantStore<Role> {
  return memoryGrantStore({ policy, assignments })
}

/** One process: an authorizer over a store and a feed that can fail. It is closed after the test. */
export function process(options: {
  memory?: MemoryGrantStore<Role>
  maxStalenessMs?: number
  cache?: GrantCache
  listens?: boolean
}): World {
  const { memory = memoryStore(), maxStalenessMs = 60_000, cache, listens = false } = options
  const store = chaosStore(memory)
  const feed = chaosFeed(memory.changes)
  const changes = listens ? feed : undefined
  const authorizer = createAuthorizer({ permissions, store, maxStalenessMs, cache, changes })
  open.push(authorizer)
  return { memory, store, feed, authorizer }
}
