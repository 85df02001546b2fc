import { expect, test } from 'vitest'
import { Breaker } from '../src/memcached/breaker.ts'
import { expiry } from '../src/memcached/request.ts'

function setUp() {
  let now = 0
  const states: string[] = []
  const breaker = new Breaker(
    { failures: 3, openMs: 1000, maxOpenMs: 3000 },
    state => states.push(state),
    () => now,
  )
  const fail = (times: number): void => {
    for (let time = 0; time < times; time += 1) breaker.failed()
  }
  return { breaker, states, fail, advance: (ms: number) => (now += ms) }
}

test('it opens after so many failures in a row, and a success in between starts the count again', () => {
  const { breaker, fail } = setUp()
  fail(2)
  breaker.succeeded()
  fail(2)
  expect(breaker.admits()).toBe(true)
  fail(1)
  expect(breaker.admits()).toBe(false)
})

test('when its time is up it lets one call through, and its success closes it', () => {
  const { breaker, states, fail, advance } = setUp()
  fail(3)
  advance(999)
  expect(breaker.admits()).toBe(false)
  advance(1)
  expect([breaker.admits(), breaker.admits(), breaker.admits()]).toEqual([true, false, false])
  breaker.succeeded()
  expect(breaker.admits()).toBe(true)
  expect(states).toEqual(['open', 'probing', 'closed'])
})

test('each failed probe doubles the time, up to the longest', () => {
  const { breaker, fail, advance } = setUp()
  fail(3)
  for (const wait of [1000, 2000, 3000, 3000]) {
    advance(wait - 1)
    expect(breaker.admits()).toBe(false)
    advance(1)
    expect(breaker.admits()).toBe(true)
    fail(1)
  }
})

test.each([
  [1, 1],
  [500, 1],
  [999, 1],
  [1000, 1],
  [1999, 1],
  [60_000, 60],
  [30 * 24 * 3_600_000, 30 * 24 * 3600],
  [30 * 24 * 3_600_000 + 1000, 1_800_000_000 + 30 * 24 * 3600 + 1],
])('%d ms are %d for memcached', (ttlMs, seconds) => {
  expect(expiry(ttlMs, 1_800_000_000_500)).toBe(seconds)
})
