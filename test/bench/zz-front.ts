import { createCaches } from '@countersign/cache-adapter'
const map = new Map()
let n = 0
const store = { maxValueBytes: 1e6, get: async (keys) => keys.map(k => map.get(k)), set: async (k, v) => { map.set(k, { value: v, cas: {n: ++n} }); return { stored: true, cas: map.get(k).cas } }, add: async (k, v) => { if (map.has(k)) return; map.set(k, { value: v, cas: {n: ++n} }); return map.get(k).cas }, delete: async k => map.delete(k), close: async () => {} }
const people = createCaches({ store, prefix: 'b', schemaVersion: 1 }).namespace('people')
const value = { id: 42, name: 'Ada Lovelace', mail: 'ada@example.org', roles: ['reader', 'author'], note: 'x'.repeat(90) }
await people.set('a', value)
const mode = process.argv[2]
const op = { get: () => people.get('a'), set: () => people.set('a', value), parse: async () => JSON.parse(JSON.stringify(value)) }[mode]
for (let i = 0; i < 50000; i++) await op()
const cpu = process.cpuUsage()
for (let i = 0; i < 300000; i++) await op()
const c = process.cpuUsage(cpu)
console.log(mode, ((c.user + c.system) / 300000).toFixed(2), 'us')
