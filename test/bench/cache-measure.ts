/** What the benchmarks of the cache share. */

export const keyCount = 10_000

/** About 200 bytes as JSON. */
export const value = {
  id: 42,
  name: 'Ada Lovelace',
  mail: 'ada@example.org',
  roles: ['reader', 'author'],
  note: 'x'.repeat(90),
}

export function percentile(numbers: readonly number[], share: number): number {
  return [...numbers].sort((a, b) => a - b)[Math.ceil(numbers.length * share) - 1] ?? NaN
}

/** The tenth of the measurements that was disturbed least. */
export function fast(times: readonly number[]): number {
  return percentile(times, 0.1)
}
