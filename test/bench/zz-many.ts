import { createCaches } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import memjs from 'memjs'
const address = process.argv[2]
const store = memcachedStore({ servers: [address] })
const people = createCaches({ store, prefix: 'b', schemaVersion: 1 }).namespace('people')
const value = { id: 42, name: 'Ada Lovelace', mail: 'ada@example.org', roles: ['reader', 'author'], note: 'x'.repeat(90) }
const keys = Array.from({ length: 100 }, (_, i) => 'person:' + i)
const bareKeys = keys.map(k => 'bare:' + k)
const bare = memjs.Client.create(address, { timeout: 5 })
for (let i = 0; i < 100; i++) { await people.set(keys[i], value); await bare.set(bareKeys[i], JSON.stringify(value), { expires: 100 }) }
async function rawBatch(bare, keys) {
  const values = new Map()
  const [server] = bare.servers
  bare.incrSeq()
  const { seq } = bare
  const frames = keys.map(key => memjs.Utils.makeRequestBuffer(0x0d, key, '', '', seq))
  frames.push(memjs.Utils.makeRequestBuffer(0x0a, '', '', '', seq))
  await new Promise((resolve, reject) => {
    const reply = response => { if (response.header.opcode === 0x0a) resolve(); else values.set(response.key.toString(), response.val) }
    reply.quiet = true
    server.onResponse(seq, reply); server.onError(seq, reject); server.write(Buffer.concat(frames))
  })
  return values
}
const pk = keys.map(k => 'b:1:people:k:' + k)
const ops = { raw: () => rawBatch(bare, bareKeys), ours: () => people.getMany(keys), port: () => store.get(pk) }
const res = {}
for (const m of Object.keys(ops)) for (let i = 0; i < 500; i++) await ops[m]()
for (let r = 0; r < 5; r++) for (const m of Object.keys(ops)) {
  const cpu = process.cpuUsage(); const t = performance.now()
  const times = []
  for (let i = 0; i < 500; i++) { const s = performance.now(); await ops[m](); times.push(performance.now() - s) }
  const c = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  ;(res[m] ??= []).push(`${((c.user + c.system) / 500).toFixed(0)}us cpu, median ${(times[250] * 1000).toFixed(0)} p10 ${(times[50] * 1000).toFixed(0)}`)
}
console.log(res)
process.exit()
