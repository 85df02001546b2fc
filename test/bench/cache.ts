/**
 * Measures the cache against bare memjs, on the same memcached in the same run, and in memory against lru-cache,
 * bentocache and cacheable; prints the ratios.
 * Run it with: node --conditions=@countersign/source test/bench/cache.ts
 */
import { createCaches, type Cache } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import memjs from 'memjs'
import { fork } from 'node:child_process'
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { startMemcached } from '../support/memcached.ts'
import { fast, keyCount, percentile, value } from './cache-measure.ts'
import { inMemory } from './cache-memory.ts'

const turnMs = 20
const turns = 200
const text = JSON.stringify(value)

type Operation = (index: number) => Promise<unknown>

/** Operations a second of so many lanes, each of which waits for its answer before it asks again. */
async function throughput(lanes: number, operation: Operation): Promise<number> {
  const end = performance.now() + turnMs
  let count = 0
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      await operation(count % keyCount)
      count += 1
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: lanes }, lane))
  return (count / (performance.now() - start)) * 1000
}

/** Runs both in short turns and compares each turn with its neighbour, so that what else the machine does hits both. */
async function compare(title: string, lanes: number, ours: Operation, bare: Operation, aim: string): Promise<void> {
  const results = { ours: [] as number[], bare: [] as number[], ratio: [] as number[] }
  for (let turn = 0; turn < turns; turn += 1) {
    const b = await throughput(lanes, bare)
    const a = await throughput(lanes, ours)
    results.bare.push(b)
    results.ours.push(a)
    results.ratio.push(a / b)
  }
  const [a, b] = [percentile(results.ours, 0.9), percentile(results.bare, 0.9)]
  const share = (100 * percentile(results.ratio, 0.5)).toFixed(0)
  console.log(
    `${title.padEnd(22)} ours ${a.toFixed(0).padStart(8)}/s   bare memjs ${b.toFixed(0).padStart(8)}/s   ${share} % (aim ${aim})`,
  )
}

async function against(server: string, port: number): Promise<void> {
  const store = memcachedStore({ servers: [server] })
  const caches = createCaches({ store, prefix: 'bench', schemaVersion: 1 })
  const people = caches.namespace<typeof value>('people')
  const bare = memjs.Client.create(server, { timeout: 5 })
  const keys = Array.from({ length: keyCount }, (_, index) => `person:${index}`)
  const bareKeys = keys.map(key => `bare:${key}`)
  for (let index = 0; index < keyCount; index += 1) {
    await people.set(keys[index] ?? '', value, { ttlMs: 3_600_000 })
    await bare.set(bareKeys[index] ?? '', text, { expires: 3600 })
  }

  console.log(`load average ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores`)
  console.log('\nOne key (200 bytes; ours checks versions, checksum and expiry, and parses)')
  for (const lanes of [1, 16, 64]) {
    const ours: Operation = async index => people.get(keys[index] ?? '')
    const theirs: Operation = async index => bare.get(bareKeys[index] ?? '')
    await compare(`get, ${lanes} lanes`, lanes, ours, theirs, '≥ 85 %')
  }
  for (const lanes of [1, 16, 64]) {
    const ours: Operation = async index => people.set(keys[index] ?? '', value, { ttlMs: 3_600_000 })
    const theirs: Operation = async index => bare.set(bareKeys[index] ?? '', text, { expires: 3600 })
    await compare(`set, ${lanes} lanes`, lanes, ours, theirs, '≥ 85 %')
  }

  console.log('\n100 keys')
  await manyKeys(people, keys, bare, bareKeys)
  await caches.close()
  bare.close()
  await stalled(port)
}

/** The batch as it would be written by hand over memjs: quiet gets, one no-op, and the values left as bytes. */
async function rawBatch(bare: memjs.Client, keys: readonly string[]): Promise<Map<string, Buffer>> {
  const values = new Map<string, Buffer>()
  const [server] = bare.servers
  bare.incrSeq()
  const { seq } = bare
  const frames = keys.map(key => memjs.Utils.makeRequestBuffer(0x0d, key, '', '', seq))
  frames.push(memjs.Utils.makeRequestBuffer(0x0a, '', '', '', seq))
  await new Promise<void>((resolve, reject) => {
    const reply = (response: memjs.Response): void => {
      if (response.header.opcode === 0x0a) resolve()
      else values.set(response.key.toString(), response.val)
    }
    reply.quiet = true
    server?.onResponse(seq, reply)
    server?.onError(seq, reject)
    server?.write(Buffer.concat(frames))
  })
  return values
}

async function manyKeys(people: Cache<unknown>, keys: string[], bare: memjs.Client, bareKeys: string[]): Promise<void> {
  const ours: number[] = []
  const raw: number[] = []
  const single: number[] = []
  for (let round = 0; round < 400; round += 1) {
    const from = (round * 100) % (keyCount - 100)
    let start = performance.now()
    await rawBatch(bare, bareKeys.slice(from, from + 100))
    raw.push(performance.now() - start)
    start = performance.now()
    await people.getMany(keys.slice(from, from + 100))
    ours.push(performance.now() - start)
    start = performance.now()
    await Promise.all(bareKeys.slice(from, from + 100).map(async key => bare.get(key)))
    single.push(performance.now() - start)
  }
  const [a, b, c] = [fast(ours), fast(raw), fast(single)]
  console.log(
    `getMany ${a.toFixed(3)} ms   raw GETKQ batch ${b.toFixed(3)} ms   ratio ${(a / b).toFixed(2)} (aim ≤ 1.3)   100 gets of bare memjs ${c.toFixed(3)} ms`,
  )
}

/** A frozen server: how long a read takes while it is stalled, and once the breaker is open. */
async function stalled(port: number): Promise<void> {
  const timeoutMs = 100
  const store = memcachedStore({ servers: [`127.0.0.1:${port}`], timeoutMs })
  const cache = createCaches({ store, prefix: 'bench', schemaVersion: 1 }).namespace('people')
  await cache.get('a')
  server.pause()
  const waits: number[] = []
  const open: number[] = []
  const calls: Promise<void>[] = []
  for (let call = 0; call < 700; call += 1) {
    const isOpen = store.servers()[0]?.breaker === 'open'
    const start = performance.now()
    calls.push(cache.get('a').then(() => void (isOpen ? open : waits).push(performance.now() - start)))
    await sleep(2)
  }
  await Promise.all(calls)
  server.resume()
  await store.close()
  console.log(`\nStalled server, deadline ${timeoutMs} ms`)
  console.log(
    `stalled: p99 ${percentile(waits, 0.99).toFixed(1)} ms of ${waits.length} reads (aim ≤ ${timeoutMs + 10})`,
  )
  console.log(`breaker open: p99 ${percentile(open, 0.99).toFixed(2)} ms of ${open.length} reads (aim < 1)`)
}

async function stampede(address: string): Promise<void> {
  const children = Array.from({ length: 4 }, () => fork(new URL('cache-stampede.ts', import.meta.url), [address]))
  const message = (child: (typeof children)[number]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      child.once('message', resolve)
      child.once('error', reject)
    })
  await Promise.all(children.map(message))
  const results: { loads: number; slowestMs: number }[] = []
  for (let round = 0; round < 5; round += 1) {
    const answers = children.map(message)
    for (const child of children) child.send(`key-${round}`)
    const all = (await Promise.all(answers)) as { loads: number; slowestMs: number }[]
    results.push({
      loads: all.reduce((sum, one) => sum + one.loads, 0),
      slowestMs: Math.max(...all.map(one => one.slowestMs)),
    })
  }
  for (const child of children) child.disconnect()
  const loads = results.map(one => one.loads).join(', ')
  const slowest = Math.max(...results.map(one => one.slowestMs))
  console.log('\nStampede: 4 processes × 50 callers, loader 100 ms')
  console.log(`loads in 5 rounds: ${loads} (aim 1 each)   slowest caller ${slowest.toFixed(0)} ms (aim < 200)`)
}

/** The share of keys that are found elsewhere when a fourth server joins three. */
async function topology(): Promise<void> {
  const servers = await Promise.all([1, 2, 3, 4].map(async () => startMemcached()))
  const addresses = servers.map(server => `127.0.0.1:${server.port}`)
  const keys = Array.from({ length: keyCount }, (_, index) => `key-${index}`)
  const three = memcachedStore({ servers: addresses.slice(0, 3), timeoutMs: 5000 })
  const four = memcachedStore({ servers: addresses, timeoutMs: 5000 })
  await Promise.all(keys.map(async key => three.set(key, Buffer.from(key), { ttlMs: 3_600_000 })))
  const found = await four.get(keys)
  const moved = found.filter(entry => entry === undefined).length
  console.log(`\nA fourth server joins three: ${((100 * moved) / keyCount).toFixed(1)} % of the keys move (ideal 25)`)
  await three.close()
  await four.close()
  for (const server of servers) await server.stop()
}

const server = await startMemcached({ memoryMb: 256 })
const address = `127.0.0.1:${server.port}`
try {
  await against(address, server.port)
  await stampede(address)
  await topology()
  await inMemory()
} finally {
  await server.stop()
}
