import knexOf from 'knex'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuthorizer } from '../../src/index.ts'
import { objectionGrantStore } from '../../src/objection/index.ts'
import { postgresChanges } from '../../src/postgres/index.ts'
import { catalog } from './catalog.ts'

/** What a process says whenever its answer or its state changes, and after a standstill. `at` is milliseconds of the machine's clock. */
export interface Seen {
  readonly allowed: boolean
  readonly state: string
  readonly at: number
}

// An application server in small: asks for one subject's permission without pause and tells when the answer changes.
const [, , storeUrl = '', feedUrl = '', subjectId = '', maxStalenessMs = ''] = process.argv
const knex = knexOf({ client: 'pg', connection: storeUrl, pool: { min: 0, max: 2 } })
const authorizer = createAuthorizer({
  permissions: catalog,
  store: objectionGrantStore({ knex }),
  changes: postgresChanges({ connectionString: feedUrl }),
  maxStalenessMs: Number(maxStalenessMs),
})

const ending = new AbortController()
process.once('disconnect', () => {
  ending.abort()
})

let last = ''
let lastAt = 0
while (!ending.signal.aborted) {
  const access = await authorizer.accessFor(subjectId).catch(() => undefined)
  const allowed = access?.can('document:read') ?? false
  const at = performance.timeOrigin + performance.now()
  const answer = `${String(allowed)} ${authorizer.state}`
  // After a standstill the first answer is told in any case.
  if (answer !== last || at - lastAt > 500) process.send?.({ allowed, state: authorizer.state, at } satisfies Seen)
  last = answer
  lastAt = at
  await sleep(1)
}
await authorizer.close()
await knex.destroy()
