import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { CacheStore } from '../store.ts'
import { runAgainstModel } from './model.ts'

/** How `storeSuite` makes stores and registers its tests. */
export interface StoreSuiteOptions {
  /** Registers one test, as `test` of vitest, node:test, mocha or jest does. */
  test: (title: string, run: () => Promise<void>) => unknown
  /** Makes a store for one test; the suite closes it. */
  create: () => CacheStore | Promise<CacheStore>
  /** Lets time pass for the store: a sleep, or a step of the clock it was given. */
  advance: (ms: number) => void | Promise<void>
  /** Random operation sequences to compare with the model. Default 25. */
  sequences?: number | undefined
}

const minute = 60_000

/**
 * Registers the tests that every store must pass. Stores may share a server: each test has keys of its own.
 *
 * @param options - the test runner's `test`, and how to make a store
 *
 * @example
 * ```ts
 * import { memoryStore } from '@countersign/cache-adapter/memory'
 * import { storeSuite } from '@countersign/cache-adapter/testing'
 * import { test } from 'node:test'
 * import { setTimeout } from 'node:timers/promises'
 *
 * storeSuite({ test, create: () => memoryStore(), advance: setTimeout })
 * ```
 */
export function storeSuite({ test, create, advance, sequences = 25 }: StoreSuiteOptions): void {
  function check(title: string, run: (store: CacheStore, key: (name: string) => string) => Promise<void>): void {
    test(title, async () => {
      const store = await create()
      const prefix = `suite:${randomBytes(9).toString('base64url')}:`
      try {
        await run(store, name => prefix + name)
      } finally {
        await store.close()
      }
    })
  }

  check('returns every byte at every length that was stored', async (store, key) => {
    const every = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const sizes = [0, 1, 2, 255, 4096, 65_537, store.maxValueBytes]
    for (const value of [every, ...sizes.map(size => new Uint8Array(randomBytes(size)))]) {
      await store.set(key('a'), value, { ttlMs: minute })
      const [found] = await store.get([key('a')])
      assert.ok(found && !(found instanceof Error), `a value of ${value.length} bytes is found`)
      assert.ok(Buffer.from(value).equals(found.value), `a value of ${value.length} bytes is unchanged`)
    }
  })

  check('answers a batch in the order of its keys, with misses and repetitions', async (store, key) => {
    const names = Array.from({ length: 120 }, (_, index) => key(String(index)))
    await Promise.all(
      names.filter((_, index) => index % 3 > 0).map(name => store.set(name, text(name), { ttlMs: minute })),
    )
    const asked = [...names].reverse().concat(names)
    const found = await store.get(asked)
    assert.deepEqual(
      found.map(entry => read(entry)),
      asked.map(name => (names.indexOf(name) % 3 > 0 ? name : undefined)),
    )
    assert.deepEqual(await store.get([]), [])
  })

  check('takes every visible ASCII character in a key, and 250 of them', async (store, key) => {
    const visible = String.fromCharCode(...Array.from({ length: 94 }, (_, index) => 0x21 + index))
    for (const name of [visible, 'x'.repeat(250 - key('').length)]) {
      await store.set(key(name), text(name), { ttlMs: minute })
      assert.deepEqual((await store.get([key(name)])).map(read), [name])
    }
  })

  const badKeys = [
    '',
    ' ',
    'a b',
    'a\r\nflush_all\r\n',
    '\0',
    'ä',
    '\ud800',
    '😀',
    'x'.repeat(251),
    'x'.repeat(5000),
    5,
    null,
  ]
  for (const bad of badKeys) {
    check(`refuses the key ${JSON.stringify(bad).slice(0, 30)} and goes on working`, async (store, key) => {
      const name = bad as string
      await store.set(key('a'), text('1'), { ttlMs: minute })
      await assert.rejects(async () => store.get([key('a'), name]), { code: 'INVALID_CACHE_INPUT' })
      await assert.rejects(async () => store.set(name, text('1'), { ttlMs: minute }), { code: 'INVALID_CACHE_INPUT' })
      await assert.rejects(async () => store.add(name, text('1'), { ttlMs: minute }), { code: 'INVALID_CACHE_INPUT' })
      await assert.rejects(async () => store.delete(name), { code: 'INVALID_CACHE_INPUT' })
      assert.deepEqual((await store.get([key('a')])).map(read), ['1'])
    })
  }

  for (const ttlMs of [0, -1, NaN, Infinity, -Infinity, '5', undefined]) {
    check(`refuses a life of ${String(ttlMs)} ms`, async (store, key) => {
      const options = { ttlMs: ttlMs as number }
      await assert.rejects(async () => store.set(key('a'), text('1'), options), { code: 'INVALID_CACHE_INPUT' })
      await assert.rejects(async () => store.add(key('a'), text('1'), options), { code: 'INVALID_CACHE_INPUT' })
      assert.deepEqual(await store.get([key('a')]), [undefined])
    })
  }

  check('keeps a value for 31 days, and does not keep one of half a second for ever', async (store, key) => {
    await store.set(key('long'), text('1'), { ttlMs: 31 * 24 * 60 * minute })
    await store.set(key('short'), text('1'), { ttlMs: 500 })
    await advance(2100)
    assert.deepEqual((await store.get([key('long'), key('short')])).map(read), ['1', undefined])
  })

  check('never hands a value out later than its life', async (store, key) => {
    await store.set(key('set'), text('1'), { ttlMs: 2000 })
    await store.add(key('add'), text('1'), { ttlMs: 2000 })
    assert.deepEqual((await store.get([key('set'), key('add')])).map(read), ['1', '1'])
    await advance(2001)
    assert.deepEqual(await store.get([key('set'), key('add')]), [undefined, undefined])
    assert.ok(await store.add(key('add'), text('2'), { ttlMs: minute }), 'what is over makes room')
  })

  check('refuses a value over the limit and keeps the old one', async (store, key) => {
    const large = new Uint8Array(store.maxValueBytes + 1)
    await store.set(key('a'), text('old'), { ttlMs: minute })
    await assert.rejects(async () => store.set(key('a'), large, { ttlMs: minute }), { code: 'CACHE_VALUE_TOO_LARGE' })
    await assert.rejects(async () => store.add(key('b'), large, { ttlMs: minute }), { code: 'CACHE_VALUE_TOO_LARGE' })
    assert.deepEqual((await store.get([key('a'), key('b')])).map(read), ['old', undefined])
  })

  check('adds only where nothing is, for one of fifty callers', async (store, key) => {
    const tokens = await Promise.all(
      Array.from({ length: 50 }, async (_, caller) => store.add(key('a'), text(String(caller)), { ttlMs: minute })),
    )
    const winners = tokens.flatMap((token, caller) => (token ? [String(caller)] : []))
    assert.equal(winners.length, 1)
    assert.deepEqual((await store.get([key('a')])).map(read), winners)
    assert.equal(await store.add(key('a'), text('late'), { ttlMs: minute }), undefined)
  })

  check('replaces only the state that was seen', async (store, key) => {
    const added = await store.add(key('a'), text('1'), { ttlMs: minute })
    assert.ok(added)
    const second = await store.set(key('a'), text('2'), { ttlMs: minute, ifUnchanged: added })
    assert.ok(second.stored)
    const outdated = await store.set(key('a'), text('3'), { ttlMs: minute, ifUnchanged: added })
    assert.deepEqual(outdated, { stored: false, because: 'changed' })
    assert.ok((await store.set(key('a'), text('4'), { ttlMs: minute, ifUnchanged: second.cas })).stored)
    assert.deepEqual((await store.get([key('a')])).map(read), ['4'])
  })

  check('replaces nothing where nothing is, nor what was deleted and came back', async (store, key) => {
    const added = await store.add(key('a'), text('1'), { ttlMs: minute })
    assert.ok(added)
    assert.equal(await store.delete(key('a')), true)
    const gone = await store.set(key('a'), text('2'), { ttlMs: minute, ifUnchanged: added })
    assert.deepEqual(gone, { stored: false, because: 'gone' })
    await store.add(key('a'), text('1'), { ttlMs: minute })
    const changed = await store.set(key('a'), text('2'), { ttlMs: minute, ifUnchanged: added })
    assert.deepEqual(changed, { stored: false, because: 'changed' })
  })

  check('loses no update of fifty callers who replace what they saw', async (store, key) => {
    await store.set(key('n'), text('0'), { ttlMs: minute })
    const increment = async (): Promise<void> => {
      for (;;) {
        const [entry] = await store.get([key('n')])
        assert.ok(entry && !(entry instanceof Error))
        const next = text(String(Number(read(entry)) + 1))
        if ((await store.set(key('n'), next, { ttlMs: minute, ifUnchanged: entry.cas })).stored) return
      }
    }
    await Promise.all(Array.from({ length: 50 }, increment))
    assert.deepEqual((await store.get([key('n')])).map(read), ['50'])
  })

  check('deletes what is there, once', async (store, key) => {
    await store.set(key('a'), text('1'), { ttlMs: minute })
    assert.equal(await store.delete(key('a')), true)
    assert.equal(await store.delete(key('a')), false)
    assert.deepEqual(await store.get([key('a')]), [undefined])
  })

  check('shares no bytes with its callers', async (store, key) => {
    const mine = text('abc')
    await store.set(key('a'), mine, { ttlMs: minute })
    mine.fill(0)
    const [first, second] = await Promise.all([store.get([key('a')]), store.get([key('a')])])
    for (const entry of first) if (entry && !(entry instanceof Error)) entry.value.fill(0)
    assert.deepEqual(second.map(read), ['abc'])
    assert.deepEqual((await store.get([key('a')])).map(read), ['abc'])
  })

  check('reads what the same caller wrote just before', async (store, key) => {
    for (let round = 0; round < 20; round += 1) {
      const written = store.set(key('a'), text(String(round)), { ttlMs: minute })
      const [entry] = await store.get([key('a')])
      assert.equal(read(entry), String(round))
      await written
    }
  })

  check('refuses every call after it was closed, and may be closed twice', async (store, key) => {
    await store.close()
    await store.close()
    const closed = { code: 'CACHE_CLOSED' }
    await assert.rejects(async () => store.get([key('a')]), closed)
    await assert.rejects(async () => store.set(key('a'), text('1'), { ttlMs: minute }), closed)
    await assert.rejects(async () => store.add(key('a'), text('1'), { ttlMs: minute }), closed)
    await assert.rejects(async () => store.delete(key('a')), closed)
  })

  check('does in any order of operations what a simple model does', async (store, key) => {
    for (let sequence = 0; sequence < sequences; sequence += 1) {
      await runAgainstModel(store, name => key(`${sequence}:${name}`), randomBytes(4).readUInt32BE())
    }
  })
}

function text(value: string): Uint8Array {
  return Uint8Array.from(Buffer.from(value))
}

function read(entry: { readonly value: Uint8Array } | Error | undefined): string | undefined {
  if (entry instanceof Error) throw entry
  return entry && Buffer.from(entry.value).toString()
}
