import { createCaches } from '@countersign/cache-adapter'
import { memoryStore } from '@countersign/cache-adapter/memory'
const people = createCaches({ store: memoryStore(), prefix: 'b', schemaVersion: 1 }).namespace('people')
const value = { id: 42, name: 'Ada Lovelace', mail: 'ada@example.org', roles: ['reader', 'author'], note: 'x'.repeat(90) }
await people.set('a', value)
const op = { get: () => people.get('a'), gol: () => people.getOrLoad('a', () => value), set: () => people.set('a', value) }[process.argv[2]]
for (let i = 0; i < 20000; i++) await op()
const cpu = process.cpuUsage()
for (let i = 0; i < 200000; i++) await op()
const c = process.cpuUsage(cpu)
console.log(process.argv[2], ((c.user + c.system) / 200000).toFixed(2), 'us')
