import type { Knex } from 'knex'
import { expectTypeOf, test } from 'vitest'
import type { GrantCache, SubjectRecord } from '../../rbac-core/src/grant-store.ts'
import { createCaches, createSessions, type Cache, type StandardSchema } from '../src/index.ts'
import { memoryStore } from '../src/memory/index.ts'
import { memcachedStore } from '../src/memcached/index.ts'
import { migrations, postgresSessionStore, type KnexLike } from '../src/postgres/index.ts'

interface Person {
  name: string
}
const caches = createCaches({ store: memoryStore(), prefix: 'app', schemaVersion: 1 })

test('a namespace is the cache that access control asks for', () => {
  expectTypeOf(caches.namespace<SubjectRecord>('grants')).toExtend<GrantCache>()
})

test('values have the type of their namespace', async () => {
  const people = caches.namespace<Person>('people')
  expectTypeOf(await people.get('1')).toEqualTypeOf<Person | undefined>()
  expectTypeOf(await people.getMany(['1'])).toEqualTypeOf<ReadonlyMap<string, Person>>()
  expectTypeOf(await people.getOrLoad('1', ({ stale }) => stale)).toEqualTypeOf<Person | undefined>()
  // @ts-expect-error: not a person
  await people.set('1', { nam: 'Ada' })
  // @ts-expect-error: not a person
  await people.getOrLoad('1', async () => 5)
  // @ts-expect-error: clear takes no tag, so that nobody clears more than they name
  await people.clear('team:7')
  // @ts-expect-error: a tag must be named
  await people.invalidateTag()
  const find = people.cached(async (id: number) => ({ name: String(id) }), { key: id => String(id) })
  expectTypeOf(find).toEqualTypeOf<(id: number) => Promise<Person | undefined>>()
})

test('a schema gives the type', () => {
  const schema = {} as StandardSchema<Date>
  expectTypeOf(caches.namespace('dates', { schema })).toEqualTypeOf<Cache<Date>>()
})

test('options may be undefined, and unknown ones are refused', () => {
  memcachedStore({ servers: ['a'], timeoutMs: undefined, breaker: { failures: undefined } })
  // @ts-expect-error: servers are required
  memcachedStore({})
  // @ts-expect-error: misspelt
  memcachedStore({ servers: ['a'], timeout: 5 })
  // @ts-expect-error: a store is required
  createSessions({ caches })
})

test('Knex and its transactions fit, and Knex takes the migrations', () => {
  expectTypeOf<Knex>().toExtend<KnexLike>()
  expectTypeOf<Knex.Transaction>().toExtend<KnexLike>()
  expectTypeOf(migrations()).toExtend<Knex.MigratorConfig>()
  postgresSessionStore({ knex: {} as Knex })
})
