import { expect, test } from 'vitest'
import { isUuidv7, timeOfUuidv7, uuidv7 } from '../src/uuid.ts'

test('ids made one after another ascend and are of version 7', () => {
  const ids = Array.from({ length: 20_000 }, uuidv7)
  expect(ids.every(isUuidv7)).toBe(true)
  expect(ids).toEqual([...ids].sort())
  expect(new Set(ids).size).toBe(ids.length)
})

test('an id holds the millisecond it was made in', () => {
  const before = Date.now()
  const time = timeOfUuidv7(uuidv7())
  expect(time).toBeGreaterThanOrEqual(before)
  // Ids made in great number run a little ahead of the clock.
  expect(time).toBeLessThan(Date.now() + 50)
})

test.each([
  ['version 4', '0b0e5a8a-5f5c-4d5e-8b1a-1f2e3d4c5b6a'],
  ['upper case', '01A20E9D-5019-76E1-84B7-8EECE4112B6B'],
  ['another variant', '01a20e9d-5019-76e1-c4b7-8eece4112b6b'],
  ['no dashes', '01a20e9d501976e184b78eece4112b6b'],
])('text of %s is not taken for an id', (_, text) => {
  expect(isUuidv7(text)).toBe(false)
})
