import { invalidOption } from '../errors.ts'

const fields = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of the month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12 },
  { name: 'day of the week', min: 0, max: 7 },
] as const

/** The 29th of February on a given weekday comes within 40 years at the latest. */
const longestSearchDays = 41 * 366
const dayMs = 86_400_000

/** A parsed cron expression: five fields, in UTC. */
export interface Cron {
  /** The first time after this one, in milliseconds since 1970. */
  next(after: number): number
}

/** Parses `minute hour day month weekday` with `*`, lists, ranges and steps, as crontab(5) describes them; 0 and 7 are Sunday. */
export function parseCron(text: string): Cron {
  const parts = typeof text === 'string' ? text.trim().split(/\s+/) : []
  if (parts.length !== fields.length) throw invalidOption('cron', 'five fields: minute hour day month weekday', text)
  const [minutes, hours, days, months, weekdays] = parts.map((part, at) => parseField(text, part, at)) as [
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
  ]
  if (weekdays.has(7)) weekdays.add(0)
  // As in crontab: when both the day and the weekday are restricted, either will do.
  const either = !parts[2]?.startsWith('*') && !parts[4]?.startsWith('*')

  const onDay = (date: Date): boolean => {
    if (!months.has(date.getUTCMonth() + 1)) return false
    const [day, weekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())]
    return either ? day || weekday : day && weekday
  }
  const times = [...hours].flatMap(hour => [...minutes].map(minute => hour * 60 + minute)).sort((a, b) => a - b)

  const next = (after: number): number => {
    const firstDay = Math.floor(after / dayMs) * dayMs
    for (let day = firstDay; day < firstDay + longestSearchDays * dayMs; day += dayMs) {
      if (!onDay(new Date(day))) continue
      const time = times.find(minute => day + minute * 60_000 > after)
      if (time !== undefined) return day + time * 60_000
    }
    throw invalidOption('cron', 'a time that comes', text)
  }
  next(0)
  return { next }
}

function parseField(text: string, part: string, at: number): Set<number> {
  const field = fields[at]
  const values = new Set<number>()
  if (!field) return values
  const wrong = (): Error =>
    invalidOption('cron', `right in its ${field.name} (${field.min} to ${field.max}, lists, ranges and steps)`, text)
  for (const item of part.split(',')) {
    const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(item)
    if (!match) throw wrong()
    const [, low, high, every] = match
    const from = low === undefined ? field.min : Number(low)
    // "5/10" means from 5 on, as a range to the end.
    const to = high !== undefined ? Number(high) : low !== undefined && every === undefined ? from : field.max
    const step = every === undefined ? 1 : Number(every)
    if (from < field.min || to > field.max || from > to || step < 1) throw wrong()
    for (let value = from; value <= to; value += step) values.add(value)
  }
  return values
}
