import type { Decision as PublishedDecision } from '@countersign/rbac-core'
import { expectTypeOf, test } from 'vitest'
import type { Decision } from '../../packages/audit-log/src/collection/decision.ts'

test('what rbac-core publishes is what audit-log collects', () => {
  expectTypeOf<PublishedDecision>().toExtend<Decision>()
})
