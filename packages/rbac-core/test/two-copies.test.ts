import * as here from '@countersign/rbac-core'
import { build } from 'esbuild'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

let folder: string
let there: typeof here

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rbac-copy-'))
  const outfile = join(folder, 'copy.mjs')
  const entryPoints = [join(import.meta.dirname, '../src/index.ts')]
  await build({ entryPoints, outfile, bundle: true, format: 'esm', platform: 'node' })
  there = (await import(/* @vite-ignore */ pathToFileURL(outfile).href)) as typeof here
})
afterAll(() => rm(folder, { recursive: true }))

const names = { document: ['read', 'update'] } as const

test('two copies of the package in one process share the current access', () => {
  expect(there.currentAccess).not.toBe(here.currentAccess)
  const permissions = there.definePermissions(names)
  const access = there
    .definePolicy(permissions, { roles: { viewer: { permissions: ['document:read'] } } })
    .accessFor({ id: 'u1', roles: ['viewer'] })
  const { requirePermission } = here.createGuards(here.definePermissions(names))
  const read = requirePermission('document:read').wrap(() => here.currentAccess()?.subjectId)
  const update = requirePermission('document:update').wrap(() => 'reached')
  expect(there.runWithAccess(access, read)).toBe('u1')
  expect(() => there.runWithAccess(access, update)).toThrow(here.PermissionDeniedError)
})

test('an error of one copy is recognised by the other', () => {
  const error = new there.UnauthenticatedError()
  expect(error).not.toBeInstanceOf(here.UnauthenticatedError)
  expect(here.UnauthenticatedError.isInstance(error)).toBe(true)
  expect(here.RbacError.isInstance(error)).toBe(true)
  expect(here.PermissionDeniedError.isInstance(error)).toBe(false)
})
