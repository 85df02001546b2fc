import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compileFences, documentationFences } from './fences.ts'
import { root } from './workspace.ts'

test('every ts fence in a docstring, a README or a guide compiles by itself', () => {
  const fences = documentationFences()
  expect(fences.length).toBeGreaterThan(30)
  expect(compileFences(fences)).toEqual([])
})

test('a fence with a mistake is found', () => {
  const home = join(root, 'packages/rbac-core/src')
  const fileName = join(home, 'mistaken.ts.fence-1.ts')
  const text = `import { definePermissions } from '@countersign/rbac-core'\nexport const n: number = definePermissions({ a: ['b'] })\n`
  expect(compileFences([{ at: 'here', home, fileName, text }])).toHaveLength(1)
})
