/** A process of its own: for each key it is sent, it lets many callers ask at once and answers what they went through. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createCaches } from '../src/index.ts'
import { memcachedStore } from '../src/memcached/index.ts'

const store = memcachedStore({ servers: [process.argv[2] ?? ''], timeoutMs: 2000 })
const cache = createCaches({ store, prefix: process.argv[3] ?? '', schemaVersion: 1 }).namespace<number>('n')

process.on('message', (key: string) => {
  let loads = 0
  const load = async (): Promise<number> => {
    loads += 1
    await sleep(100)
    return 1
  }
  Promise.all(Array.from({ length: 50 }, async () => cache.getOrLoad(key, load))).then(
    values => process.send?.({ loads, values: [...new Set(values)] }),
    (error: unknown) => process.send?.({ loads, error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
await cache.get('warm-up')
process.send?.('ready')
