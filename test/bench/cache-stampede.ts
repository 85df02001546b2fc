/** One of the processes of the stampede in cache.ts: answers each key it is sent with what fifty callers went through. */
import { createCaches } from '@countersign/cache-adapter'
import { memcachedStore } from '@countersign/cache-adapter/memcached'
import { setTimeout as sleep } from 'node:timers/promises'

const store = memcachedStore({ servers: [process.argv[2] ?? ''] })
const caches = createCaches({ store, prefix: 'stampede', schemaVersion: 1 })
const cache = caches.namespace<number>('n')
await cache.get('warm-up')

process.on('message', (key: string) => {
  let loads = 0
  const load = async (): Promise<number> => {
    loads += 1
    await sleep(100)
    return 1
  }
  const caller = async (): Promise<number> => {
    const start = performance.now()
    await cache.getOrLoad(key, load)
    return performance.now() - start
  }
  Promise.all(Array.from({ length: 50 }, caller)).then(
    times => process.send?.({ loads, slowestMs: Math.max(...times) }),
    (error: unknown) => {
      throw error
    },
  )
})
process.on('disconnect', () => {
  caches.close().catch(() => undefined)
})
process.send?.('ready')
