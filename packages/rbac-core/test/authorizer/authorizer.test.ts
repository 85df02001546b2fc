import { compilePolicy, createAuthorizer, type Access } from '@countersign/rbac-core'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { until, waitUntil } from '../support/wait.ts'
import { memoryStore, permissions, policy, process, type World } from '../support/world.ts'

const canUpdate = async ({ authorizer }: World): Promise<boolean> =>
  (await authorizer.accessFor('u1')).can('document:update')

/** Asks until the answer is no, and returns when it was last yes: the time before that question. */
async function lastAllowed(ask: () => boolean | Promise<boolean>): Promise<number> {
  for (let last = -Infinity; ; await sleep(1)) {
    const before = performance.now()
    if (!(await ask())) return last
    last = before
  }
}

const unavailable = expect.objectContaining({ code: 'GRANT_STORE_UNAVAILABLE' }) as Error

const policyWithoutUpdate = compilePolicy(permissions, {
  ...policy.record,
  roles: policy.record.roles.map(role => ({
    ...role,
    permissions: role.permissions.filter(name => name !== 'document:update'),
  })),
})

describe('an access', () => {
  test('is resolved from the store once and then kept', async () => {
    const world = process({})
    const first = await world.authorizer.accessFor('u1')
    expect(first.can('document:update')).toBe(true)
    expect(first.can('user:manage')).toBe(false)
    expect(await world.authorizer.accessFor('u1')).toBe(first)
    expect(world.store.asked).toEqual({ policy: 1, subject: 1, version: 0 })
  })

  test('is loaded once for all who ask at the same time', async () => {
    const world = process({})
    const accesses = await Promise.all(Array.from({ length: 50 }, () => world.authorizer.accessFor('u1')))
    expect(new Set(accesses).size).toBe(1)
    expect(world.store.asked).toEqual({ policy: 1, subject: 1, version: 0 })
  })

  test('of an unknown subject denies everything with its reason, and is not kept', async () => {
    const world = process({})
    const nobody = await world.authorizer.accessFor('u9')
    expect(nobody.can('document:read')).toBe(false)
    expect(nobody.explain('document:read').reason).toBe('unknown-subject')
    world.memory.setSubject('u9', ['viewer'])
    expect((await world.authorizer.accessFor('u9')).can('document:read')).toBe(true)
  })

  test('of a subject that was removed is not kept beside the news', async () => {
    const world = process({})
    expect(await canUpdate(world)).toBe(true)
    world.memory.deleteSubject('u1')
    await world.authorizer.accessFor('u1', { freshness: 'now' })
    expect((await world.authorizer.accessFor('u1')).explain('document:read').reason).toBe('unknown-subject')
  })

  test('carries flags: an inactive subject has nothing, a superuser everything, an inactive superuser nothing', async () => {
    const { authorizer } = process({
      memory: memoryStore({
        off: { roles: ['admin'], isActive: false },
        root: { roles: [], isSuperuser: true },
        rootOff: { roles: ['admin'], isSuperuser: true, isActive: false },
      }),
    })
    expect((await authorizer.accessFor('off')).explain('user:manage').reason).toBe('inactive-subject')
    expect((await authorizer.accessFor('root')).explain('user:manage').reason).toBe('superuser')
    expect((await authorizer.accessFor('rootOff')).can('user:manage')).toBe(false)
  })

  test('uses the chosen roles only, and refuses a choice that breaks a dynamic rule', async () => {
    const { authorizer } = process({ memory: memoryStore({ u1: ['editor', 'admin'] }) })
    const asEditor = await authorizer.accessFor('u1', { activeRoles: ['editor'] })
    expect(asEditor.can('document:update')).toBe(true)
    expect(asEditor.can('user:manage')).toBe(false)
    expect((await authorizer.accessFor('u1', { activeRoles: ['admin'] })).can('user:manage')).toBe(true)
    await expect(authorizer.accessFor('u1')).rejects.toMatchObject({ code: 'SEPARATION_OF_DUTY', rule: 'one-hat' })
  })

  test.each(['__proto__', 'constructor', 'a$$b', 'u1 ', '\u0000', '\ud800', 'x'.repeat(10_000)])(
    'of the subject %j is its own',
    async id => {
      const { authorizer } = process({ memory: memoryStore({ u1: ['admin'], [id + '.']: ['admin'] }) })
      await authorizer.accessFor('u1')
      await authorizer.accessFor(id + '.')
      expect((await authorizer.accessFor(id)).can('document:read')).toBe(false)
    },
  )

  test('needs the id of a subject', async () => {
    const { authorizer } = process({})
    await expect(authorizer.accessFor('')).rejects.toMatchObject({ code: 'INVALID_DEFINITION', field: 'subjectId' })
    await expect(authorizer.accessFor(undefined as never)).rejects.toMatchObject({ code: 'INVALID_DEFINITION' })
  })

  test.each([
    ['atLeast', NaN],
    ['atLeast', '2'],
    ['atLeast', 1.5],
    ['freshness', 'soon'],
  ])('is refused for the option %s: %j, which would otherwise be without effect', async (field, value) => {
    const { authorizer } = process({})
    await expect(authorizer.accessFor('u1', { [field]: value })).rejects.toMatchObject({
      code: 'INVALID_DEFINITION',
      field,
    })
  })

  test('is kept for 10,000 subjects, and those not asked for go first', async () => {
    const ids = Array.from({ length: 10_001 }, (_, index) => `s${index}`)
    const world = process({ memory: memoryStore(Object.fromEntries(ids.map(id => [id, ['viewer'] as const]))) })
    for (const id of ids) await world.authorizer.accessFor(id)
    expect(world.store.asked.subject).toBe(10_001)
    await world.authorizer.accessFor('s1')
    expect(world.store.asked.subject).toBe(10_001)
    await world.authorizer.accessFor('s0')
    expect(world.store.asked.subject).toBe(10_002)
    // The one asked for last but one has stayed, and the one after it had to go.
    await world.authorizer.accessFor('s1')
    expect(world.store.asked.subject).toBe(10_002)
    await world.authorizer.accessFor('s2')
    expect(world.store.asked.subject).toBe(10_003)
  })
})

test('a stored role that grants what the catalog of this process does not have is no error, and grants the rest', async () => {
  const stored = compilePolicy(permissions, {
    version: 0,
    roles: [{ name: 'editor', permissions: ['report:read', 'document:read'], inherits: ['gone'], isActive: true }],
    separationOfDuty: [],
    inactivePermissions: [],
  })
  const world = process({})
  world.memory.setPolicy(stored)
  expect((await world.authorizer.accessFor('u1')).granted()).toEqual(['document:read'])
})

describe('without a feed', () => {
  test('a revoked permission stops working within the bound, in new accesses and in those in use', async () => {
    const maxStalenessMs = 200
    const world = process({ maxStalenessMs })
    const inUse = await world.authorizer.accessFor('u1')
    world.memory.setSubject('u1', ['viewer'])
    const revokedAt = performance.now()
    expect(inUse.can('document:update')).toBe(true)
    const last = lastAllowed(() => canUpdate(world))
    const lastInUse = lastAllowed(() => inUse.can('document:update'))
    expect((await last) - revokedAt).toBeLessThan(maxStalenessMs)
    // The timer that ends it may be late when the machine is busy.
    expect((await lastInUse) - revokedAt).toBeLessThan(maxStalenessMs + 100)
    expect(inUse.stale).toBe(true)
    expect(inUse.can('document:update')).toBe(false)
    expect(inUse.hasRole('viewer')).toBe(false)
    expect(inUse.scopesWith('document:read')).toEqual({ everywhere: false, scopes: [] })
    expect(inUse.explain('document:read').reason).toBe('stale')
    expect(() => inUse.assert('document:read')).toThrow(expect.objectContaining({ code: 'STALE_ACCESS' }))
  })

  test('a changed role works within the bound too', async () => {
    const world = process({ maxStalenessMs: 200 })
    expect(await canUpdate(world)).toBe(true)
    world.memory.setPolicy(policyWithoutUpdate)
    const changedAt = performance.now()
    expect((await lastAllowed(() => canUpdate(world))) - changedAt).toBeLessThan(200)
  })

  test('a policy that has not changed is asked for its version only', async () => {
    const world = process({ maxStalenessMs: 100 })
    await world.authorizer.accessFor('u1')
    await until(() => world.store.asked.version > 1 || world.authorizer.accessFor('u1').then(() => false))
    expect(world.store.asked.policy).toBe(1)
  })

  test("a superuser's access goes stale as well", async () => {
    const { authorizer } = process({
      maxStalenessMs: 100,
      memory: memoryStore({ root: { roles: [], isSuperuser: true } }),
    })
    const access = await authorizer.accessFor('root')
    await until(() => access.stale)
    expect(access.can('user:manage')).toBe(false)
  })

  test('an access is handed out with at least a quarter of the bound left', async () => {
    const world = process({ maxStalenessMs: 600 })
    const end = performance.now() + 1300
    while (performance.now() < end) {
      const access = await world.authorizer.accessFor('u1')
      const handedOut = performance.now()
      await until(() => access.stale || performance.now() - handedOut > 90)
      expect(access.stale).toBe(false)
    }
    expect(world.store.asked.subject).toBeLessThan(5)
  })

  test('"now" sees a change at once, and whoever asks next sees it too', async () => {
    const world = process({})
    expect(await canUpdate(world)).toBe(true)
    world.memory.setSubject('u1', ['viewer'])
    expect(await canUpdate(world)).toBe(true)
    const access = await world.authorizer.accessFor('u1', { freshness: 'now' })
    expect(access.can('document:update')).toBe(false)
    expect(await canUpdate(world)).toBe(false)
  })

  test('"now" sees a changed role at once', async () => {
    const world = process({})
    expect(await canUpdate(world)).toBe(true)
    world.memory.setPolicy(policyWithoutUpdate)
    const access = await world.authorizer.accessFor('u1', { freshness: 'now' })
    expect(access.can('document:update')).toBe(false)
  })

  test('"now" does not share a load that began before', async () => {
    const world = process({})
    let go = (): void => undefined
    world.store.late = new Promise<void>(resolve => (go = resolve))
    const early = world.authorizer.accessFor('u1')
    await until(() => world.store.asked.subject === 1)
    world.memory.setSubject('u1', ['viewer'])
    const late = world.store.late
    world.store.late = undefined
    expect((await world.authorizer.accessFor('u1', { freshness: 'now' })).can('document:update')).toBe(false)
    go()
    await late
    expect((await early).can('document:update')).toBe(true)
    // The late answer of the early load must not replace the newer one.
    expect(await canUpdate(world)).toBe(false)
  })

  test('the token of a write is honoured, for an assignment and for a role', async () => {
    const world = process({})
    expect(await canUpdate(world)).toBe(true)
    const unassigned = world.memory.setSubject('u1', ['viewer'])
    const access = await world.authorizer.accessFor('u1', { atLeast: unassigned })
    expect(access.can('document:update')).toBe(false)
    const assigned = world.memory.setSubject('u1', ['editor'])
    expect((await world.authorizer.accessFor('u1', { atLeast: assigned })).can('document:update')).toBe(true)
    const changed = world.memory.setPolicy(policyWithoutUpdate)
    expect((await world.authorizer.accessFor('u1', { atLeast: changed })).can('document:update')).toBe(false)
  })

  test('a token that was reached already costs no load', async () => {
    const world = process({})
    const token = world.memory.setSubject('u1', ['viewer'])
    await world.authorizer.accessFor('u1', { atLeast: token })
    await world.authorizer.accessFor('u1', { atLeast: token })
    expect(world.store.asked.subject).toBe(1)
  })

  test('a token from the future is refused', async () => {
    const world = process({})
    const refused = world.authorizer.accessFor('u1', { atLeast: 1000 })
    const joined = canUpdate(world)
    await expect(refused).rejects.toThrow(unavailable)
    expect(await joined).toBe(true)
    expect(await canUpdate(world)).toBe(true)
  })
})

describe('with a feed', () => {
  test('a revoked permission stops working with the next access', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.memory.setSubject('u1', ['viewer'])
    expect(await canUpdate(world)).toBe(false)
  })

  test('a change of one subject costs no other a load', async () => {
    const world = process({ listens: true, memory: memoryStore({ u1: ['editor'], u2: ['viewer'] }) })
    await canUpdate(world)
    world.memory.setSubject('u2', ['editor'])
    await canUpdate(world)
    expect(world.store.asked.subject).toBe(1)
  })

  test('a changed role works with the next access', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.memory.setPolicy(policyWithoutUpdate)
    expect(await canUpdate(world)).toBe(false)
  })

  test('a load that began before a change is not used after it', async () => {
    const world = process({ listens: true })
    await world.authorizer.accessFor('u2')
    let go = (): void => undefined
    world.store.late = new Promise<void>(resolve => (go = resolve))
    const early = world.authorizer.accessFor('u1')
    await until(() => world.store.asked.subject === 2)
    world.memory.setSubject('u1', ['viewer'])
    const after = Array.from({ length: 20 }, () => canUpdate(world))
    world.store.late = undefined
    go()
    expect(new Set(await Promise.all(after))).toEqual(new Set([false]))
    // One for u2 before, the early one, and one for all twenty.
    expect(world.store.asked.subject).toBe(3)
    expect((await early).can('document:read')).toBe(true)
    expect(await canUpdate(world)).toBe(false)
  })

  test('a lost message is repaired when the feed tells of a gap', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.feed.deaf = true
    world.memory.setSubject('u1', ['viewer'])
    expect(await canUpdate(world)).toBe(true)
    world.feed.gap()
    expect(await canUpdate(world)).toBe(false)
  })

  test('a gap in which nothing changed costs one look at the version', async () => {
    const world = process({ listens: true })
    await canUpdate(world)
    const before = { ...world.store.asked }
    world.feed.gap()
    await Promise.all([canUpdate(world), canUpdate(world)])
    expect(world.store.asked).toEqual({ ...before, version: before.version + 1 })
  })

  test('what changed while the feed was away works after it is back', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.feed.state('disconnected')
    world.feed.deaf = true
    world.memory.setSubject('u1', ['viewer'])
    world.feed.deaf = false
    world.feed.state('connected')
    expect(await canUpdate(world)).toBe(false)
  })

  test('the bound holds when the feed has lost a message and never tells', async () => {
    const world = process({ listens: true, maxStalenessMs: 200 })
    expect(await canUpdate(world)).toBe(true)
    world.feed.deaf = true
    world.memory.setSubject('u1', ['viewer'])
    const revokedAt = performance.now()
    expect((await lastAllowed(() => canUpdate(world))) - revokedAt).toBeLessThan(200)
  })

  test('thousands of changes are remembered, or hold for everybody', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.feed.deaf = true
    world.memory.setSubject('u1', ['viewer'])
    world.feed.deaf = false
    for (let index = 0; index < 10_001; index++) world.memory.setSubject(`x${index}`, [])
    expect(await canUpdate(world)).toBe(false)
  })
})

describe('when the store is down', () => {
  test('a kept access holds until its bound, and then nothing is answered, with the cause', async () => {
    const world = process({ maxStalenessMs: 400 })
    const start = performance.now()
    const access = await world.authorizer.accessFor('u1')
    world.store.fault = 'down'
    let last: Access | undefined
    let failure: unknown
    const lastAt = await lastAllowed(async () => {
      try {
        last = await world.authorizer.accessFor('u1')
        return last.can('document:update')
      } catch (error) {
        failure = error
        return false
      }
    })
    expect(failure).toMatchObject({ code: 'GRANT_STORE_UNAVAILABLE', cause: { message: 'connection refused' } })
    expect(lastAt - start).toBeGreaterThan(100)
    expect(lastAt - start).toBeLessThan(400)
    await until(() => access.stale)
    expect(last?.can('document:update')).toBe(false)
    world.store.fault = 'none'
    expect(await canUpdate(world)).toBe(true)
  })

  test('a load is tried again no more than once a second while a kept access holds', async () => {
    const world = process({ maxStalenessMs: 1200 })
    const start = performance.now()
    await world.authorizer.accessFor('u1')
    world.store.fault = 'down'
    await waitUntil(start + 905)
    const before = world.store.asked.subject
    for (let index = 0; index < 10; index++) await world.authorizer.accessFor('u1')
    expect(world.store.asked.subject - before).toBe(1)
  })

  test('a store that hangs is given up', async () => {
    const world = process({ maxStalenessMs: 150 })
    world.store.fault = 'hang'
    const start = performance.now()
    await expect(world.authorizer.accessFor('u1')).rejects.toThrow(unavailable)
    expect(performance.now() - start).toBeLessThan(1000)
  })

  test('a failed load is not kept', async () => {
    const world = process({})
    world.store.fault = 'down'
    await expect(world.authorizer.accessFor('u1')).rejects.toThrow(unavailable)
    await expect(world.authorizer.accessFor('u1', { freshness: 'now' })).rejects.toThrow(unavailable)
    world.store.fault = 'none'
    expect(await canUpdate(world)).toBe(true)
  })

  test('"now" is refused and never answered from what is kept', async () => {
    const world = process({})
    expect(await canUpdate(world)).toBe(true)
    world.store.fault = 'down'
    await expect(world.authorizer.accessFor('u1', { freshness: 'now' })).rejects.toThrow(unavailable)
    expect(await canUpdate(world)).toBe(true)
  })

  test('a subject that is known to have changed is refused, though an access is kept', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.store.fault = 'down'
    world.memory.setSubject('u1', ['viewer'])
    await expect(world.authorizer.accessFor('u1')).rejects.toThrow(unavailable)
  })

  test('after a gap the bound alone holds until the version can be read', async () => {
    const world = process({ listens: true })
    expect(await canUpdate(world)).toBe(true)
    world.store.fault = 'down'
    world.feed.gap()
    expect(await canUpdate(world)).toBe(true)
    expect(world.authorizer.state).toBe('degraded')
  })
})

describe('assignments that end', () => {
  test('end on time without any event, in new accesses and in those in use', async () => {
    const start = performance.now()
    const { authorizer } = process({
      memory: memoryStore({ u1: ['viewer', { role: 'editor', expiresInMs: 150 }] }),
    })
    const inUse = await authorizer.accessFor('u1')
    expect(inUse.can('document:update')).toBe(true)
    const last = await lastAllowed(async () => (await authorizer.accessFor('u1')).can('document:update'))
    expect(last - start).toBeLessThan(150)
    expect(performance.now() - start).toBeGreaterThan(40)
    await until(() => inUse.stale)
    expect(inUse.can('document:update')).toBe(false)
    const later = await authorizer.accessFor('u1')
    expect(later.can('document:read')).toBe(true)
    expect(later.stale).toBe(false)
  })

  test('that have ended already grant nothing', async () => {
    const { authorizer } = process({ memory: memoryStore({ u1: ['viewer', { role: 'editor', expiresInMs: -1 }] }) })
    expect((await authorizer.accessFor('u1')).can('document:update')).toBe(false)
  })
})

describe('closing', () => {
  test('ends every access, the feed and the answers', async () => {
    const world = process({ listens: true })
    const access = await world.authorizer.accessFor('u1')
    await world.authorizer.close()
    expect(access.stale).toBe(true)
    expect(access.can('document:update')).toBe(false)
    expect(world.feed.closed()).toBe(true)
    await expect(world.authorizer.accessFor('u1')).rejects.toThrow(unavailable)
  })
})

test.each([0, 99, -1, NaN, Infinity, 90_000_000, '30s' as never])('a bound of %s is refused', maxStalenessMs => {
  expect(() => createAuthorizer({ permissions, store: memoryStore(), maxStalenessMs })).toThrow(
    expect.objectContaining({ code: 'INVALID_DEFINITION', field: 'maxStalenessMs' }),
  )
})

test('an explanation is of the subject as stored', async () => {
  const { authorizer } = process({})
  expect(await authorizer.explain('u1', 'document:read')).toMatchObject({
    allowed: true,
    grantedBy: ['editor'],
    paths: [['editor', 'viewer']],
  })
  expect(await authorizer.explain('u1', 'user:manage')).toMatchObject({ allowed: false, wouldBeGrantedBy: ['admin'] })
})

describe('who may grant', () => {
  const memory = memoryStore({
    u1: ['viewer'],
    ann: ['editor'],
    tom: [{ role: 'editor', scope: 'team:7' }],
    off: { roles: ['editor'], isActive: false },
    root: { roles: [], isSuperuser: true },
    hats: ['editor', 'admin'],
    gone: [{ role: 'editor', expiresInMs: -1 }],
  })

  test('a denial names those who have the permission, everywhere or in the scope in question', async () => {
    const { authorizer } = process({ memory })
    expect(await authorizer.explain('u1', 'document:update')).toMatchObject({
      wouldBeGrantedBy: ['editor', 'admin'],
      mayBeGrantedBy: ['ann', 'root', 'hats'],
    })
    expect((await authorizer.explain('u1', 'document:update', { scope: 'team:7' })).mayBeGrantedBy).toEqual([
      'ann',
      'tom',
      'root',
      'hats',
    ])
  })

  test('a denial names holders of the administrative permission too', async () => {
    const permission = 'document:read'
    const authorizer = createAuthorizer({
      permissions,
      store: memoryStore({ u1: [], vic: ['viewer'], ann: ['editor'] }),
      maxStalenessMs: 1000,
      administrativePermission: permission,
    })
    expect((await authorizer.explain('u1', 'document:update')).mayBeGrantedBy).toEqual(['vic', 'ann'])
    await authorizer.close()
    expect(() =>
      createAuthorizer({
        permissions,
        store: memory,
        maxStalenessMs: 1000,
        administrativePermission: 'role:grant' as never,
      }),
    ).toThrow(expect.objectContaining({ code: 'UNKNOWN_PERMISSION' }))
  })

  test('a grant names nobody, and neither does a store that cannot tell', async () => {
    const { authorizer } = process({ memory })
    expect(await authorizer.explain('ann', 'document:update')).not.toHaveProperty('mayBeGrantedBy')
    const { loadPolicy, loadSubject, loadVersion } = memory
    const store = { loadPolicy, loadSubject, loadVersion }
    const plain = createAuthorizer({ permissions, store, maxStalenessMs: 1000 })
    expect(await plain.explain('u1', 'document:update')).not.toHaveProperty('mayBeGrantedBy')
    await plain.close()
  })
})
