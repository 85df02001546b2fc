import { setTimeout } from 'node:timers/promises'
import { describe, inject, test } from 'vitest'
import { memcachedStore } from '../../src/memcached/index.ts'
import { storeSuite } from '../../src/testing/index.ts'

describe('the Memcached store', () => {
  storeSuite({ test, create: () => memcachedStore({ servers: [inject('memcachedServer')] }), advance: setTimeout })
})
