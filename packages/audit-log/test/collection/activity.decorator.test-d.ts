import { expectTypeOf, test } from 'vitest'
import { createActivity, type ActivityRecorder } from '../../src/collection/activity.ts'

declare const audit: ActivityRecorder

test('async methods and functions keep their types, sync ones are refused', () => {
  const activity = createActivity(audit)

  class Reports {
    @activity('report.export')
    async export<T>(id: T): Promise<T> {
      return id
    }

    // @ts-expect-error -- a sync method cannot wait for its row
    @activity('report.name')
    name(): string {
      return 'x'
    }
  }

  expectTypeOf(new Reports().export<'q3'>).returns.resolves.toEqualTypeOf<'q3'>()
  const wrapped = activity('sum.add').wrap(async (a: number) => a)
  expectTypeOf(wrapped).toEqualTypeOf<(a: number) => Promise<number>>()
  // @ts-expect-error -- a sync function cannot wait for its row
  activity('sum.add').wrap((a: number) => a)
})
