import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCron } from '../src/postgres/cron.ts'

function next(cron: string, after: string): string {
  return new Date(parseCron(cron).next(Date.parse(after))).toISOString().slice(0, 16)
}

test.each([
  ['* * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:01'],
  ['* * * * *', '2026-01-01T00:00:59.999Z', '2026-01-01T00:01'],
  ['*/15 * * * *', '2026-01-01T00:15:00Z', '2026-01-01T00:30'],
  ['5/20 * * * *', '2026-01-01T00:26:00Z', '2026-01-01T00:45'],
  ['0 3 * * *', '2026-01-01T03:00:00Z', '2026-01-02T03:00'],
  ['30 8-10/2 * * *', '2026-01-01T08:30:00Z', '2026-01-01T10:30'],
  ['0 0 31 * *', '2026-02-01T00:00:00Z', '2026-03-31T00:00'],
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
  ['0 12 * * 1-5', '2026-11-27T12:00:00Z', '2026-11-30T12:00'],
  ['0 0 * * 7', '2026-11-24T00:00:00Z', '2026-11-29T00:00'],
  ['0 0 13 * 5', '2026-11-14T00:00:00Z', '2026-11-20T00:00'],
  ['59 23 31 12 *', '2026-12-31T23:59:00Z', '2027-12-31T23:59'],
])('%s after %s is %s', (cron, after, expected) => {
  expect(next(cron, after)).toBe(expected)
})

test.each([
  '',
  '* * * *',
  '60 * * * *',
  '* 24 * * *',
  '* * 0 * *',
  '* * * 13 *',
  '* * * * 8',
  '5-1 * * * *',
  '*/0 * * * *',
  'a * * * *',
  '0 0 30 2 *',
])('%j is refused', cron => {
  expect(() => parseCron(cron)).toThrow(/^cron must be/)
})

test('the next time is later, on a whole minute, and the first that fits', () => {
  const minute = fc.integer({ min: 0, max: 59 })
  const hour = fc.integer({ min: 0, max: 23 })
  const after = fc.integer({ min: 0, max: 4_000_000_000_000 })
  fc.assert(
    fc.property(minute, hour, after, (m, h, from) => {
      const at = parseCron(`${m} ${h} * * *`).next(from)
      expect(at).toBeGreaterThan(from)
      expect(at - from).toBeLessThanOrEqual(86_400_000)
      expect(new Date(at).getUTCMinutes()).toBe(m)
      expect(new Date(at).getUTCHours()).toBe(h)
      expect(at % 60_000).toBe(0)
    }),
  )
})
