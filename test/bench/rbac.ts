/**
 * Measures checks, resolving and compiling of rbac-core against two floors and three other libraries in the same run, and
 * prints the ratios.
 * Run it with: node --expose-gc --conditions=@countersign/source test/bench/rbac.ts
 *
 * The floors do the least that could work: "bound bit" tests one bit of a subject whose index is known, "map and bit set"
 * looks the index up by name first. A guard also compares catalogs and tests whether the access is stale. Every
 * contestant must answer right before it is timed.
 */
import {
  catalogOf,
  compilePolicy,
  createAuthorizer,
  createGuards,
  memoryGrantStore,
  type Access,
  type Guard,
  type PolicyRecord,
} from '@countersign/rbac-core'
import { koaAccess, koaGuards } from '@countersign/rbac-core/koa'
import autocannon from 'autocannon'
import Koa from 'koa'
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { betterAuth, casbin, casl, type Peer, type Question } from './rbac-peers.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 31)
const checksPerBlock = 256
const blocksPerRound = 400

interface World {
  readonly name: string
  readonly roles: number
  readonly grants: readonly number[]
  readonly permissions: number
  readonly users: number
  readonly rolesPerUser: number
}

const worlds: readonly World[] = [
  { name: 'small', roles: 3, grants: [20, 10, 5], permissions: 20, users: 1, rolesPerUser: 1 },
  { name: 'medium', roles: 100, grants: [50], permissions: 1000, users: 1, rolesPerUser: 5 },
  { name: 'large', roles: 1000, grants: [100], permissions: 10_000, users: 100_000, rolesPerUser: 3 },
]

/** A generator of numbers with a fixed start, so that every run asks the same. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function recordOf(world: World, names: readonly string[]): PolicyRecord {
  const next = numbers(7)
  const roles = Array.from({ length: world.roles }, (_, index) => {
    const wanted = world.grants[index % world.grants.length] ?? 0
    const permissions = new Set<string>()
    while (permissions.size < wanted) permissions.add(names[next(names.length)] ?? '')
    return { name: `role${index}`, permissions: [...permissions], inherits: [], isActive: true }
  })
  return { version: 1, roles, separationOfDuty: [], inactivePermissions: [] }
}

/** The least that answers: a map from names to indexes, one bit set for each role, and their union for each user. */
function floorOf(
  record: PolicyRecord,
  names: readonly string[],
): { index: Map<string, number>; roles: Map<string, Uint32Array> } {
  const index = new Map(names.map((name, position) => [name, position]))
  const roles = new Map<string, Uint32Array>()
  for (const role of record.roles) {
    const bits = new Uint32Array((names.length + 31) >>> 5)
    for (const name of role.permissions) {
      const position = index.get(name) ?? 0
      bits[position >>> 5] = (bits[position >>> 5] ?? 0) | (1 << (position & 31))
    }
    roles.set(role.name, bits)
  }
  return { index, roles }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

interface Contestant {
  readonly name: string
  /** Answers query number `index`. */
  readonly run: (index: number) => boolean
}

function refuse(name: string, at: number): never {
  throw new Error(`${name} answers query ${at} wrong`)
}

/** Nanoseconds a check of each, in turns, so that what disturbs the machine disturbs all. */
function race(contestants: readonly Contestant[], questions: readonly Question[]): Map<string, number> {
  for (const { name, run } of contestants) {
    for (const [at, { expected }] of questions.entries()) if (run(at) !== expected) refuse(name, at)
  }
  const block = (run: (index: number) => boolean): number => {
    let allowed = 0
    for (let index = 0; index < checksPerBlock; index++) if (run(index)) allowed++
    return allowed
  }
  const results = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  const expected = block(contestants[0]!.run)
  for (let round = 0; round < rounds; round++) {
    for (const { name, run } of contestants) {
      const times: number[] = []
      for (let count = 0; count < blocksPerRound; count++) {
        const start = process.hrtime.bigint()
        const allowed = block(run)
        times.push(Number(process.hrtime.bigint() - start) / checksPerBlock)
        if (allowed !== expected) throw new Error(`${name} allows ${allowed} of the queries, not ${expected}`)
      }
      // The first round compiles the code.
      if (round > 0) results.get(name)?.push(median(times))
    }
  }
  return new Map([...results].map(([name, times]) => [name, median(times)]))
}

/** Most of casbin's checks take so long that a few must do. */
const slowBudgetMs = 3000

/**
 * Nanoseconds a check of a peer that is too slow, or too asynchronous, for the race: over all queries, or over as many as
 * the budget allows. The first look at each query also checks the answer and fills the peer's own caches.
 */
async function timeOf(peer: Peer, questions: readonly Question[]): Promise<number> {
  const start = performance.now()
  let known = 0
  while (known < questions.length && (known < 2 || performance.now() - start < slowBudgetMs)) {
    const answer = await peer.ask(known)
    if (answer !== questions[known]?.expected) refuse(peer.name, known)
    known += 1
  }
  const times: number[] = []
  const end = performance.now() + slowBudgetMs / 2
  do {
    const begin = process.hrtime.bigint()
    if (peer.kind === 'async') for (let at = 0; at < known; at++) await peer.ask(at)
    else for (let at = 0; at < known; at++) peer.ask(at)
    times.push(Number(process.hrtime.bigint() - begin) / known)
  } while (performance.now() < end)
  return median(times)
}

function row(cells: readonly (string | number)[]): void {
  console.log(
    `| ${cells.map(cell => (typeof cell === 'number' ? cell.toFixed(cell < 100 ? 2 : 0) : cell)).join(' | ')} |`,
  )
}

/** The definition: one of the roles lists the permission. */
function isGranted(record: PolicyRecord, roles: readonly string[], permission: string): boolean {
  return record.roles.some(({ name, permissions }) => roles.includes(name) && permissions.includes(permission))
}

const againstPeers: (string | number)[][] = []

async function checks(): Promise<void> {
  row(['world', 'queries', 'bound bit ns', 'guard ns', 'ratio', 'map and bits ns', 'can by name ns', 'ratio'])
  row(['---', '---', '--:', '--:', '--:', '--:', '--:', '--:'])
  for (const world of worlds) {
    for (const kind of ['hit', 'miss'] as const) {
      const names = Array.from({ length: world.permissions }, (_, index) => `resource${index >> 2}:action${index & 3}`)
      const catalog = catalogOf(names)
      const record = recordOf(world, names)
      const policy = compilePolicy(catalog, record)
      const floor = floorOf(record, names)
      const guards = createGuards(catalog)
      const next = numbers(11)
      const queries = Array.from({ length: checksPerBlock }, (_, query) => {
        const single = world.users === 1
        const roles = Array.from(
          { length: world.rolesPerUser },
          // Not the first of the small world, which has every permission.
          (_role, at) => `role${single ? (1 + 7 * at) % world.roles : next(world.roles)}`,
        )
        const access = policy.accessFor({ id: `u${single ? 0 : query}`, roles })
        const wanted = names.filter(name => access.can(name) === (kind === 'hit'))
        const name = wanted[next(wanted.length)] ?? names[0] ?? ''
        const bits = new Uint32Array((names.length + 31) >>> 5)
        for (const role of roles) floor.roles.get(role)?.forEach((word, at) => (bits[at] = (bits[at] ?? 0) | word))
        const question = {
          user: access.subjectId,
          roles,
          permission: name,
          expected: isGranted(record, roles, name),
        }
        if (question.expected !== (kind === 'hit')) refuse('rbac-core', query)
        return {
          access,
          name,
          bits,
          index: floor.index.get(name) ?? 0,
          guard: guards.requirePermission(name),
          question,
        }
      })
      const questions = queries.map(({ question }) => question)
      const accesses: Access[] = queries.map(({ access }) => access)
      const guardList: Guard[] = queries.map(({ guard }) => guard)
      const asked = queries.map(({ name }) => name)
      const bitLists = queries.map(({ bits }) => bits)
      const indexes = queries.map(({ index }) => index)
      const test = (bits: Uint32Array, index: number): boolean =>
        (((bits[index >>> 5] ?? 0) >>> (index & 31)) & 1) === 1
      const racing = [casl(record, questions), betterAuth(record, questions)]
      const contestants: Contestant[] = [
        { name: 'bound', run: at => test(bitLists[at] as Uint32Array, indexes[at]!) },
        { name: 'guard', run: at => guardList[at]!.allows(accesses[at]!) },
        { name: 'map', run: at => test(bitLists[at] as Uint32Array, floor.index.get(asked[at]!) ?? 0) },
        { name: 'can', run: at => accesses[at]!.can(asked[at]!) },
        ...racing.map(({ name, ask }) => ({ name, run: ask })),
      ]
      const times = race(contestants, questions)
      const [bound = NaN, guard = NaN, map = NaN, can = NaN, ...peers] = times.values()
      row([world.name, kind, bound, guard, guard / bound, map, can, can / map])
      for (const peer of await casbin(record, questions)) peers.push(await timeOf(peer, questions))
      againstPeers.push([world.name, kind, can, ...peers.flatMap(time => [time, time / can])])
    }
  }
}

/** The times of the peers in nanoseconds, each with how many times that of `can` by name it is. */
function peers(): void {
  console.log('\nOther libraries, by name')
  row([
    'world',
    'queries',
    'can ns',
    'CASL ns',
    'x',
    'better-auth ns',
    'x',
    'casbin sync ns',
    'x',
    'casbin cached ns',
    'x',
  ])
  row(['---', '---', ...Array.from({ length: 9 }, () => '--:')])
  for (const cells of againstPeers) row(cells)
}

async function heap(): Promise<number> {
  // The memory of freed arrays is given back a little later.
  for (let count = 0; count < 3; count++) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function building(): Promise<void> {
  const world = worlds[2]!
  const names = Array.from({ length: world.permissions }, (_, index) => `resource${index >> 2}:action${index & 3}`)
  const record = recordOf(world, names)
  const builds = {
    floor: () => floorOf(record, names),
    ours: () => compilePolicy(catalogOf(names), record),
  }
  const times = { floor: [] as number[], ours: [] as number[] }
  for (let round = 0; round < 25; round++) {
    for (const which of ['floor', 'ours'] as const) {
      const start = performance.now()
      builds[which]()
      times[which].push(performance.now() - start)
    }
  }
  const measure = async (which: 'floor' | 'ours'): Promise<{ ms: number; mib: number }> => {
    const before = await heap()
    const built = builds[which]()
    const mib = ((await heap()) - before) / 2 ** 20
    // The best round: the others met the collector, the compiler or a neighbour.
    return { ms: built ? Math.min(...times[which]) : NaN, mib }
  }
  const floor = await measure('floor')
  const ours = await measure('ours')
  console.log('\nCompiling 1,000 roles with 100 of 10,000 permissions each')
  row(['', 'floor', 'rbac-core', 'ratio'])
  row(['---', '--:', '--:', '--:'])
  row(['time, ms', floor.ms, ours.ms, ours.ms / floor.ms])
  row(['heap, MiB', floor.mib, ours.mib, ours.mib / floor.mib])

  const policy = compilePolicy(catalogOf(names), record)
  const next = numbers(13)
  const subjects = Array.from({ length: 2000 }, (_, index) => ({
    id: `u${index}`,
    roles: Array.from({ length: 3 }, () => `role${next(1000)}`),
  }))
  policy.accessFor({ id: 'warm', roles: ['role1', 'role2', 'role3'] })
  const before = await heap()
  const resolving: number[] = []
  const kept: Access[] = []
  for (const subject of subjects) {
    const start = process.hrtime.bigint()
    kept.push(policy.accessFor(subject))
    resolving.push(Number(process.hrtime.bigint() - start) / 1000)
  }
  const bytes = ((await heap()) - before) / kept.length
  console.log(
    `\nResolving a subject with 3 roles nobody else has together: ${median(resolving).toFixed(1)} µs, ${bytes.toFixed(0)} bytes kept`,
  )
}

/** Requests a second of one app with the access and a guard, and of the same with as many steps that do nothing. */
async function overHttp(): Promise<void> {
  const names = ['document:read', 'document:write'] as const
  const catalog = catalogOf(names)
  const record = { version: 1, separationOfDuty: [], inactivePermissions: [] }
  const roles = [{ name: 'viewer', permissions: ['document:read'], inherits: [], isActive: true }]
  const store = memoryGrantStore({
    policy: compilePolicy(catalog, { ...record, roles }),
    assignments: { u1: ['viewer'] },
  })
  const authorizer = createAuthorizer({ permissions: catalog, store, maxStalenessMs: 3_600_000 })
  const storage = new AsyncLocalStorage<object>()

  const bare = new Koa()
  bare.use((_ctx, next) => storage.run({}, next) as Promise<unknown>)
  bare.use(async (_ctx, next) => {
    await next()
  })
  const guarded = new Koa()
  guarded.use(koaAccess({ authorizer, subjectId: () => 'u1' }))
  guarded.use(koaGuards(catalog).requirePermission('document:read'))

  const rates = { bare: [] as number[], guarded: [] as number[] }
  const servers = await Promise.all(
    [bare, guarded].map(async app => {
      app.use(ctx => {
        ctx.body = '{"ok":true}'
      })
      const server = app.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
    }),
  )
  const load = async (url: string, duration: number): Promise<number> => {
    const result: autocannon.Result = await autocannon({ url, connections: 32, duration })
    return result.requests.average
  }
  for (const { url } of servers) await load(url, 1)
  for (let round = 0; round < 7; round++) {
    // The order changes, so that the second of a pair is not always the one with the warmer machine.
    for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      rates[which === 0 ? 'bare' : 'guarded'].push(await load(servers[which]?.url ?? '', 2))
    }
  }
  const ratios = rates.guarded.map((rate, round) => rate / (rates.bare[round] ?? NaN))
  console.log(
    `\nKoa: ${median(rates.bare).toFixed(0)} requests/s bare, ${median(rates.guarded).toFixed(0)} with access and guard; median of the pairs ${median(ratios).toFixed(3)}`,
  )
  for (const { server } of servers) server.close()
  await authorizer.close()
}

console.log(`Node ${process.version}\n`)
await checks()
peers()
await building()
await overHttp()
