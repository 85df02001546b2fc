import { setTimeout as pause } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { AuditRow } from '../src/audit-event.ts'
import { auditRow } from '../src/storage/audit-row.ts'
import { groupCommit } from '../src/storage/group-commit.ts'
import { createSanitize } from '../src/processing/sanitize.ts'

const sanitize = createSanitize()
const row = (action: string): AuditRow => auditRow({ action }, undefined, sanitize)

/** A store whose inserts wait until they are released. */
function heldStore() {
  const batches: AuditRow[][] = []
  const releases: (() => void)[] = []
  return {
    batches,
    /** Lets the next insert succeed once it has begun. */
    async release() {
      await vi.waitFor(() => {
        expect(releases.length).toBeGreaterThan(0)
      })
      releases.shift()?.()
    },
    async begun(count: number) {
      await vi.waitFor(() => {
        expect(batches).toHaveLength(count)
      })
    },
    store: {
      isRowFault: (error: unknown) => error === 'bad row',
      insertDurably: async (rows: readonly AuditRow[]) => {
        batches.push([...rows])
        await new Promise<void>(resolve => releases.push(resolve))
      },
    },
  }
}

const actions = (batches: AuditRow[][]) => batches.map(batch => batch.map(({ action }) => action))

test('what arrives during an insert goes into the next one, and a lone row goes at once', async () => {
  const { store, batches, release, begun } = heldStore()
  const group = groupCommit({ store, batchSize: 3, maxWaiting: 100 })
  const first = group.add(row('a'), 1000)
  await begun(1)
  const others = ['b', 'c', 'd', 'e'].map(action => group.add(row(action), 1000))
  await release()
  await first
  await release()
  await Promise.all(others.slice(0, 3))
  await release()
  await Promise.all(others)
  expect(actions(batches)).toEqual([['a'], ['b', 'c', 'd'], ['e']])
})

test('no row is acknowledged before its insert is done', async () => {
  const { store, release } = heldStore()
  const group = groupCommit({ store, batchSize: 3, maxWaiting: 100 })
  let done = false
  const added = group.add(row('a'), 1000).then(() => {
    done = true
  })
  await pause(20)
  expect(done).toBe(false)
  await release()
  await added
})

test('more rows than may wait are refused at once', async () => {
  const { store, release } = heldStore()
  const group = groupCommit({ store, batchSize: 1, maxWaiting: 2 })
  const taken = [group.add(row('a'), 1000), group.add(row('b'), 1000)]
  await expect(group.add(row('c'), 1000)).rejects.toMatchObject({ code: 'AUDIT_QUEUE_FULL', limit: 2 })
  await release()
  await taken[0]
  await release()
  await taken[1]
})

test('a row whose deadline passes is refused and makes room, and is not sent any more', async () => {
  const { store, batches, release } = heldStore()
  const group = groupCommit({ store, batchSize: 1, maxWaiting: 2 })
  const stuck = group.add(row('a'), 5000)
  const late = row('b')
  await expect(group.add(late, 10)).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE', eventId: late.id })
  const next = group.add(row('c'), 1000)
  await release()
  await stuck
  await release()
  await next
  expect(actions(batches)).toEqual([['a'], ['c']])
})

test('one bad row is refused and its neighbours are stored', async () => {
  const stored: string[] = []
  const store = {
    isRowFault: (error: unknown) => error instanceof RangeError,
    insertDurably: async (rows: readonly AuditRow[]) => {
      if (rows.some(({ action }) => action === 'bad')) throw new RangeError('bad row')
      stored.push(...rows.map(({ action }) => action))
    },
  }
  const group = groupCommit({ store, batchSize: 100, maxWaiting: 100 })
  const settled = await Promise.allSettled(['a', 'b', 'bad', 'c', 'd'].map(action => group.add(row(action), 1000)))
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  expect(stored).toEqual(['a', 'b', 'c', 'd'])
})

test('rows wait out a failure of the store and keep their order', async () => {
  let failures = 2
  const batches: AuditRow[][] = []
  const store = {
    isRowFault: () => false,
    insertDurably: async (rows: readonly AuditRow[]) => {
      if (failures-- > 0) throw new Error('connection refused')
      batches.push([...rows])
    },
  }
  const group = groupCommit({ store, batchSize: 2, maxWaiting: 100 })
  await Promise.all(['a', 'b', 'c'].map(action => group.add(row(action), 2000)))
  expect(actions(batches)).toEqual([['a', 'b'], ['c']])
})

test('the last failure is the cause of a missed deadline', async () => {
  const cause = new Error('connection refused')
  const store = {
    isRowFault: () => false,
    insertDurably: async () => {
      throw cause
    },
  }
  const group = groupCommit({ store, batchSize: 2, maxWaiting: 100 })
  await expect(group.add(row('a'), 50)).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE', cause })
})

test('closing lets the taken rows settle and refuses new ones', async () => {
  const { store, release } = heldStore()
  const group = groupCommit({ store, batchSize: 3, maxWaiting: 100 })
  const taken = group.add(row('a'), 1000)
  const closing = group.close()
  await expect(group.add(row('b'), 1000)).rejects.toMatchObject({ code: 'AUDIT_LOG_CLOSED' })
  await release()
  await Promise.all([taken, closing])
})
