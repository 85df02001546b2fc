import { test } from 'vitest'
import { checkAgainstMap } from './cache-model.ts'
import { setUp } from './support.ts'

test('whatever processes do one after the other, the cache answers as a map would', async () => {
  const { another } = setUp()
  await checkAgainstMap(
    [1, 2, 3].map(() => another().namespace<number | null>('n')),
    300,
  )
})
