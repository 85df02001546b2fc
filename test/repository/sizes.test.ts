import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { publishedPackages } from './workspace.ts'

/** Most bytes that an import of each door may cost: minified, compressed with Brotli, without peers. */
const budgets = JSON.parse(readFileSync(join(import.meta.dirname, 'sizes.json'), 'utf8')) as Record<string, number>

const doors = publishedPackages().flatMap(({ manifest, directory, doors }) =>
  [...doors].map(([door, source]) => ({ door: manifest.name + door.slice(1), file: join(directory, source) })),
)

test('every door has a budget, and every budget a door', () => {
  expect(Object.keys(budgets).sort()).toEqual(doors.map(({ door }) => door).sort())
})

describe.each(doors)('$door', ({ door, file }) => {
  test('stays within its budget', async () => {
    expect(await importSize(file)).toBeLessThanOrEqual(budgets[door] ?? 0)
  })
})

async function importSize(file: string): Promise<number> {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    packages: 'external',
  })
  return brotliCompressSync(outputFiles[0]?.contents ?? '').length
}
