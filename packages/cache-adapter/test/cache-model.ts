import fc from 'fast-check'
import { expect } from 'vitest'
import type { Cache } from '../src/index.ts'

type Step =
  | { do: 'get' | 'delete'; key: string }
  | { do: 'getMany'; keys: string[] }
  | { do: 'set' | 'getOrLoad'; key: string; value: number | null; tags: string[] }
  | { do: 'loadNothing'; key: string }
  | { do: 'invalidateTag'; tag: string }
  | { do: 'clear' }

const key = fc.constantFrom('a', 'b', '', 'ä \r\n', 'x'.repeat(400))
const tag = fc.constantFrom('t', 'u', '\ud800')
const value = fc.option(fc.integer())
const tags = fc.uniqueArray(tag)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('get', 'delete'), key }),
  fc.record({ do: fc.constant('getMany'), keys: fc.array(key) }),
  fc.record({ do: fc.constantFrom('set', 'getOrLoad'), key, value, tags }),
  fc.record({ do: fc.constant('loadNothing'), key }),
  fc.record({ do: fc.constant('invalidateTag'), tag }),
  fc.record({ do: fc.constant('clear') }),
)

/** Compares random sequences of operations, each by a random one of several processes, with a map. */
export async function checkAgainstMap(processes: readonly Cache<number | null>[], runs: number): Promise<void> {
  const steps = fc.array(fc.tuple(fc.nat(processes.length - 1), step), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(steps, async sequence => {
      await processes[0]!.clear()
      const map = new Map<string, { value: number | null | undefined; tags: string[] }>()
      for (const [process, one] of sequence) await run(processes[process]!, map, one)
    }),
    { numRuns: runs },
  )
}

async function run(
  cache: Cache<number | null>,
  map: Map<string, { value: number | null | undefined; tags: string[] }>,
  step: Step,
): Promise<void> {
  switch (step.do) {
    case 'get':
      expect(await cache.get(step.key)).toBe(map.get(step.key)?.value)
      break
    case 'getMany': {
      const wanted = step.keys.flatMap(one => {
        const known = map.get(one)?.value
        return known === undefined ? [] : [[one, known] as const]
      })
      expect(await cache.getMany(step.keys)).toEqual(new Map(wanted))
      break
    }
    case 'set':
      await cache.set(step.key, step.value, { tags: step.tags })
      map.set(step.key, step)
      break
    case 'getOrLoad': {
      if (!map.has(step.key)) map.set(step.key, step)
      expect(await cache.getOrLoad(step.key, () => step.value, { tags: step.tags })).toBe(map.get(step.key)?.value)
      break
    }
    case 'loadNothing':
      if (!map.has(step.key)) map.set(step.key, { value: undefined, tags: [] })
      expect(await cache.getOrLoad(step.key, () => undefined)).toBe(map.get(step.key)?.value)
      break
    case 'delete':
      await cache.delete(step.key)
      map.delete(step.key)
      break
    case 'invalidateTag':
      await cache.invalidateTag(step.tag)
      for (const [name, entry] of map) if (entry.tags.includes(step.tag)) map.delete(name)
      break
    case 'clear':
      await cache.clear()
      map.clear()
      break
  }
}
