import { ESLint } from 'eslint'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './workspace.ts'

// The text stands in for a file of the project, so that the rules that need types can see it.
const filePath = join(root, 'examples/koa-server/src/main.ts')

async function complaints(text: string): Promise<(string | null)[]> {
  const [result] = await new ESLint({ cwd: root }).lintText(text, { filePath })
  return (result?.messages ?? []).map(message => message.ruleId)
}

test('the linter refuses a guarded call that nobody awaits', async () => {
  const text = `import { createGuards } from '@countersign/rbac-core'
import { permissions } from './permissions.ts'

const publish = createGuards(permissions).requirePermission('document:publish').wrap(async (id: string) => id)
publish('1')
`
  expect(await complaints(text)).toEqual(['@typescript-eslint/no-floating-promises'])
  expect(await complaints(text.replace('publish(', 'await publish('))).toEqual([])
})

test('the linter refuses a promise of an access where a yes or no is needed', async () => {
  const text = `import type { Authorizer } from '@countersign/rbac-core'

export function isKnown(authorizer: Authorizer): boolean {
  return authorizer.accessFor('u1') ? true : false
}
`
  expect(await complaints(text)).toContain('@typescript-eslint/no-misused-promises')
})
