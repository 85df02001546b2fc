import { createCaches } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import { Socket } from 'node:net'
import memjs from 'memjs'
const address = process.argv[2]
const mode = process.argv[3]
let data = 0, writes = 0
const on = Socket.prototype.on
Socket.prototype.on = Socket.prototype.addListener = function (e, f) { if (e === 'data') { return on.call(this, e, function (...a) { data++; return f.apply(this, a) }) } return on.call(this, e, f) }
const w = Socket.prototype.write
Socket.prototype.write = function (...a) { writes++; return w.apply(this, a) }
const store = memcachedStore({ servers: [address] })
const people = createCaches({ store, prefix: 'b', schemaVersion: 1 }).namespace('people')
const value = { id: 42, name: 'Ada Lovelace', mail: 'ada@example.org', roles: ['reader', 'author'], note: 'x'.repeat(90) }
await people.set('a', value)
const bare = memjs.Client.create(address, { timeout: 5 })
await bare.set('bare', JSON.stringify(value), { expires: 100 })
const ops = { get: () => people.get('a'), set: () => people.set('a', value), bare: () => bare.get('bare'), bareset: () => bare.set('bare', JSON.stringify(value), { expires: 100 }), port: () => store.get(['b:1:people:k:a']), port2: () => store.get(['b:1:people:k:a', 'b:1:people:v']), pset: () => store.set('zzz', Buffer.alloc(200), {ttlMs: 50000}) }
const op = ops[mode]
for (let i = 0; i < 3000; i++) await op()
data = 0; writes = 0
const n = 20000
const cpu = process.cpuUsage()
const t = performance.now()
for (let i = 0; i < n; i++) await op()
const ms = performance.now() - t
const c = process.cpuUsage(cpu)
console.log(mode, (ms * 1000 / n).toFixed(1), 'us/op; cpu', ((c.user + c.system) / n).toFixed(1), 'us; data', (data / n).toFixed(2), 'writes', (writes / n).toFixed(2))
process.exit()
