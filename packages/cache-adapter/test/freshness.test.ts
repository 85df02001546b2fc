import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'vitest'
import type { CacheStore } from '../src/index.ts'
import { memoryStore } from '../src/memory/index.ts'
import { checkFreshness } from './freshness.ts'
import { setUp } from './support.ts'

/** A store at the end of a slow line: each call arrives, and is answered, after a while. */
function distant(store: CacheStore): CacheStore {
  const slow = async <T>(call: () => Promise<T>): Promise<T> => {
    await sleep(Math.random() * 2)
    const answer = await call()
    await sleep(Math.random() * 2)
    return answer
  }
  return {
    maxValueBytes: store.maxValueBytes,
    get: keys => slow(() => store.get(keys)),
    set: (key, value, options) => slow(() => store.set(key, value, options)),
    add: (key, value, options) => slow(() => store.add(key, value, options)),
    delete: key => slow(() => store.delete(key)),
    close: () => store.close(),
  }
}

test('no process reads what was invalidated before, in any order of reads, loads and invalidations', async () => {
  const store = memoryStore()
  const { another } = setUp({ store })
  await checkFreshness(
    [1, 2, 3].map(() => another({ store: distant(store) })),
    150,
  )
})
