import type { Knex } from 'knex'
import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkName } from '../task.ts'
import { parseCron } from './cron.ts'
import { run } from './transaction.ts'

const reports = channel('countersign.queue-adapter.schedule')
const retryMs = 5000
/** A clock that is set is noticed within this time. */
const longestSleepMs = 60_000

/** When a task is sent again and again. */
export interface ScheduleOptions {
  /** The name all processes know it by: each time fires once per name. */
  name: string
  /** `minute hour day month weekday` in UTC, with `*`, lists, ranges and steps. */
  cron: string
}

/** A schedule at work in this process. */
export interface Schedule {
  /** Ends it here; other processes go on. */
  stop(): Promise<void>
}

/** Fires in the process whose transaction is first to note the time; the others find it noted. */
export function startSchedule(
  knex: Knex,
  options: ScheduleOptions,
  send: (at: number, transaction: Knex.Transaction) => Promise<unknown>,
): Schedule {
  const name = checkName('name', options.name)
  const cron = parseCron(options.cron)
  const stopping = new AbortController()
  const { signal } = stopping

  const fire = async (at: number): Promise<void> => {
    await knex.transaction(async transaction => {
      const sql = `insert into queue_schedule (name, last_at) values (?, to_timestamp(?))
        on conflict (name) do update set last_at = excluded.last_at where queue_schedule.last_at < excluded.last_at
        returning 1`
      const [first] = await run(transaction, sql, [name, at / 1000])
      if (first) await send(at, transaction)
    })
  }
  const pause = async (ms: number): Promise<void> => {
    await sleep(ms, undefined, { signal }).catch(() => undefined)
  }
  const work = async (): Promise<void> => {
    let at = cron.next(Date.now())
    while (!signal.aborted) {
      const left = at - Date.now()
      if (left > 0) {
        await pause(Math.min(left, longestSleepMs))
        continue
      }
      try {
        await fire(at)
        // What a sleeping or cut off process has missed counts once.
        at = cron.next(Math.max(at, Date.now()))
      } catch (error) {
        if (reports.hasSubscribers) reports.publish({ name, at, error })
        await pause(retryMs)
      }
    }
  }
  const working = work()
  return {
    stop: async () => {
      stopping.abort()
      await working
    },
  }
}
