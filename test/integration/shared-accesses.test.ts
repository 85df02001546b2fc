import { createCaches } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import {
  createAuthorizer,
  definePermissions,
  definePolicy,
  memoryGrantStore,
  type Authorizer,
  type GrantChanges,
  type GrantStore,
  type SubjectRecord,
} from '@countersign/rbac-core'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { startMemcached } from '../support/memcached.ts'
import type { Service } from '../support/service.ts'

const permissions = definePermissions({ document: ['read', 'update'] })
const policy = definePolicy(permissions, {
  roles: { viewer: { permissions: ['document:read'] }, editor: { permissions: ['document:*'] } },
})
const maxStalenessMs = 3000

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Node {
  readonly authorizer: Authorizer
  /** How often this node asked the store for a subject. */
  readonly loads: () => number
  /** Waited for between reading and answering: a load that is late. */
  late: Promise<unknown> | undefined
}

interface Cluster {
  readonly memcached: Service
  readonly store: ReturnType<typeof memoryGrantStore>
  /** One application process: an authorizer and a connection to memcached of its own. */
  node(changes?: GrantChanges): Node
}

async function cluster(): Promise<Cluster> {
  const memcached = await startMemcached()
  ends.push(() => memcached.kill())
  const prefix = randomBytes(6).toString('hex')
  const store = memoryGrantStore({ policy, assignments: { u1: ['editor'] } })
  return {
    memcached,
    store,
    node(changes) {
      const servers = [`127.0.0.1:${memcached.port}`]
      const caches = createCaches({ store: memcachedStore({ servers }), prefix, schemaVersion: 1 })
      let loads = 0
      const node: { late: Promise<unknown> | undefined } = { late: undefined }
      const counted: GrantStore = {
        ...store,
        async loadSubject(id) {
          loads += 1
          const record = await store.loadSubject(id)
          await node.late
          return record
        },
      }
      const cache = caches.namespace<SubjectRecord>('subjects')
      const authorizer = createAuthorizer({ permissions, store: counted, cache, changes, maxStalenessMs })
      ends.push(
        () => caches.close(),
        () => authorizer.close(),
      )
      return Object.assign(node, { authorizer, loads: () => loads })
    },
  }
}

const canUpdate = async ({ authorizer }: Node): Promise<boolean> =>
  (await authorizer.accessFor('u1')).can('document:update')

/** Asks until the answer is no, and returns when it was last yes: the time before that question. */
async function lastAllowed(node: Node): Promise<number> {
  for (let last = -Infinity; ; await sleep(5)) {
    const before = performance.now()
    if (!(await canUpdate(node))) return last
    last = before
  }
}

test('processes share one load through memcached', async () => {
  const { node } = await cluster()
  const [one, two] = [node(), node()]
  expect(await canUpdate(one)).toBe(true)
  expect(await canUpdate(two)).toBe(true)
  expect(one.loads() + two.loads()).toBe(1)
})

test('with memcached killed every answer comes from the store', async () => {
  const { node, memcached, store } = await cluster()
  const listening = node(store.changes)
  expect(await canUpdate(listening)).toBe(true)
  await memcached.kill()
  store.setSubject('u1', ['viewer'])
  expect(await canUpdate(listening)).toBe(false)
  expect(await canUpdate(node())).toBe(false)
})

test('a revocation that memcached did not hear of is refused by who heard it, and ends for all within the bound', async () => {
  const { node, memcached, store } = await cluster()
  const [listening, deaf] = [node(store.changes), node()]
  expect(await canUpdate(listening)).toBe(true)
  expect(await canUpdate(deaf)).toBe(true)
  memcached.pause()
  store.setSubject('u1', ['viewer'])
  const revokedAt = performance.now()
  expect(await canUpdate(listening)).toBe(false)
  memcached.resume()
  const newcomer = node()
  const last = await Promise.all([deaf, newcomer].map(lastAllowed))
  expect(Math.max(...last) - revokedAt).toBeLessThan(maxStalenessMs)
  expect(await canUpdate(listening)).toBe(false)
})

test('a fill that is late by a revocation is used by nobody who heard of it, and by the others within the bound', async () => {
  const { node, store } = await cluster()
  const [slow, listening, deaf] = [node(store.changes), node(store.changes), node()]
  await Promise.all([slow, listening, deaf].map(({ authorizer }) => authorizer.accessFor('nobody')))
  slow.late = sleep(300)
  const early = slow.authorizer.accessFor('u1')
  await sleep(50)
  store.setSubject('u1', ['viewer'])
  const revokedAt = performance.now()
  const heard = canUpdate(listening)
  await slow.late
  expect((await early).can('document:read')).toBe(true)
  expect(await heard).toBe(false)
  expect(await canUpdate(slow)).toBe(false)
  expect(await canUpdate(listening)).toBe(false)
  expect((await lastAllowed(deaf)) - revokedAt).toBeLessThan(maxStalenessMs)
})

test('an access resolved from a shared record ends within the bound after the record was loaded', async () => {
  const { node, store } = await cluster()
  const first = node()
  const loadedAt = performance.now()
  expect(await canUpdate(first)).toBe(true)
  store.setSubject('u1', ['viewer'])
  await sleep(600)
  const access = await node().authorizer.accessFor('u1')
  while (access.can('document:update')) {
    expect(performance.now() - loadedAt).toBeLessThan(maxStalenessMs)
    await sleep(10)
  }
  expect(access.stale).toBe(true)
})
