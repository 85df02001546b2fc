import assert from 'node:assert/strict'
import type { CacheStore, CasToken } from '../store.ts'

const names = ['a', 'b', 'c']
const steps = 40

/** Runs a random sequence of operations, which its seed repeats, and compares each answer with a map's. */
export async function runAgainstModel(store: CacheStore, key: (name: string) => string, seed: number): Promise<void> {
  const random = randomFrom(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const model = new Map<string, { value: string; state: number }>()
  const tokens: { name: string; state: number; cas: CasToken }[] = []
  const ttlMs = 60_000
  const log: string[] = []
  let state = 0

  for (let step = 0; step < steps; step += 1) {
    const name = pick(names)
    const old = model.get(name)
    const value = String(step)
    const bytes = Uint8Array.from(Buffer.from(value))
    const write = (): number => {
      state += 1
      model.set(name, { value, state })
      return state
    }
    const operation = pick(['get', 'set', 'add', 'replace', 'delete'] as const)
    log.push(`${operation} ${name}`)
    const where = `seed ${seed}: ${log.join(', ')}`
    switch (operation) {
      case 'get': {
        const found = await store.get(names.map(key))
        const values = found.map(entry =>
          entry instanceof Error ? entry : entry && Buffer.from(entry.value).toString(),
        )
        assert.deepEqual(
          values,
          names.map(one => model.get(one)?.value),
          where,
        )
        names.forEach((one, index) => {
          const entry = found[index]
          const known = model.get(one)
          if (entry && !(entry instanceof Error) && known)
            tokens.push({ name: one, state: known.state, cas: entry.cas })
        })
        break
      }
      case 'set': {
        const result = await store.set(key(name), bytes, { ttlMs })
        assert.ok(result.stored, where)
        tokens.push({ name, state: write(), cas: result.cas })
        break
      }
      case 'add': {
        const cas = await store.add(key(name), bytes, { ttlMs })
        assert.equal(cas !== undefined, old === undefined, where)
        if (cas) tokens.push({ name, state: write(), cas })
        break
      }
      case 'replace': {
        const token = pick(tokens.filter(one => one.name === name)) as (typeof tokens)[number] | undefined
        if (!token) break
        const result = await store.set(key(name), bytes, { ttlMs, ifUnchanged: token.cas })
        if (old?.state === token.state) {
          assert.ok(result.stored, where)
          tokens.push({ name, state: write(), cas: result.cas })
        } else {
          assert.deepEqual(result, { stored: false, because: old ? 'changed' : 'gone' }, where)
        }
        break
      }
      case 'delete':
        assert.equal(await store.delete(key(name)), model.delete(name), where)
        break
    }
  }
}

/** Numbers in [0, 1) that the seed repeats (Marsaglia, "Xorshift RNGs", 2003). */
function randomFrom(seed: number): () => number {
  let state = seed || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
