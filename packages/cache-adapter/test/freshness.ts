import { expect } from 'vitest'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Caches } from '../src/index.ts'

/**
 * Lets readers and writers of several processes loose on a few keys, and checks that no read that began after an
 * invalidation had ended brings what was true before it.
 */
export async function checkFreshness(processes: readonly Caches[], rounds: number): Promise<void> {
  const keys = ['a', 'b', 'c']
  const truth = new Map(keys.map(key => [key, 0]))
  const invalidated = new Map(keys.map(key => [key, 0]))
  const pause = (): Promise<void> => sleep(Math.random() * 4)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)]!
  const cacheOf = () => pick(processes).namespace<number>('fresh')
  let reads = 0

  async function write(): Promise<void> {
    const key = pick(keys)
    const state = (truth.get(key) ?? 0) + 1
    truth.set(key, state)
    const way = Math.random()
    if (way < 0.5) await cacheOf().delete(key)
    else if (way < 0.9) await cacheOf().invalidateTag(`tag of ${key}`)
    else await cacheOf().clear()
    invalidated.set(key, Math.max(invalidated.get(key) ?? 0, state))
  }

  async function read(): Promise<void> {
    const key = pick(keys)
    const atLeast = invalidated.get(key) ?? 0
    const load = async (): Promise<number> => {
      await pause()
      const state = truth.get(key) ?? 0
      await pause()
      return state
    }
    const way = Math.random()
    const value =
      way < 0.7 ? await cacheOf().getOrLoad(key, load, { tags: [`tag of ${key}`] }) : await cacheOf().get(key)
    if (value === undefined) return
    reads += 1
    expect(value, `${key} read after state ${atLeast} was announced`).toBeGreaterThanOrEqual(atLeast)
  }

  const readers = Array.from({ length: 12 }, async () => {
    for (let round = 0; round < rounds; round += 1) {
      await read()
      if (Math.random() < 0.3) await pause()
    }
  })
  const writers = Array.from({ length: 2 }, async () => {
    for (let round = 0; round < rounds / 2; round += 1) {
      await pause()
      await write()
    }
  })
  await Promise.all([...readers, ...writers])
  expect(reads).toBeGreaterThan(rounds)
}
