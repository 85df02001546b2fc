import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { createOutbox, type Schedule } from '../../src/postgres/index.ts'
import { testDatabase } from '../support/database.ts'
import { numberTask } from '../support/schemas.ts'
import { until } from '../support/wait.ts'

const database = testDatabase()
const schedules: Schedule[] = []
afterEach(async () => {
  await Promise.all(schedules.splice(0).map(schedule => schedule.stop()))
  vi.useRealTimers()
})

async function sent(): Promise<string[]> {
  const rows = await database.knex('queue_outbox').select<{ message_id: string }[]>('message_id').orderBy('position')
  return rows.map(row => row.message_id)
}

test('each time fires once, however many processes have the schedule', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-11-24T02:59:59.950Z') })
  const task = numberTask('nightly')
  for (let process = 0; process < 5; process += 1) {
    const outbox = createOutbox({ knex: database.knex })
    schedules.push(outbox.schedule(task, { n: 1 }, { name: 'nightly', cron: '0 3 * * *' }))
  }
  vi.setSystemTime(Date.parse('2026-11-24T03:00:00.000Z'))
  await until(async () => (await sent()).length > 0)
  // The others come a moment later, and find the time noted.
  await sleep(300)
  expect(await sent()).toEqual(['nightly@2026-11-24T03:00:00.000Z'])
  const late = createOutbox({ knex: database.knex })
  vi.setSystemTime(Date.parse('2026-11-24T02:59:59.950Z'))
  schedules.push(late.schedule(task, { n: 1 }, { name: 'nightly', cron: '0 3 * * *' }))
  vi.setSystemTime(Date.parse('2026-11-24T03:00:00.000Z'))
  await sleep(300)
  expect(await sent()).toEqual(['nightly@2026-11-24T03:00:00.000Z'])
})

test('a schedule that cannot be understood is refused where it is written', () => {
  const outbox = createOutbox({ knex: database.knex })
  const task = numberTask('never')
  expect(() => outbox.schedule(task, { n: 1 }, { name: 'never', cron: 'daily' })).toThrow(/cron must be/)
  expect(() => outbox.schedule(task, { n: 1 }, { name: 'a b', cron: '* * * * *' })).toThrow(/name must be/)
})
