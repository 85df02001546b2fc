import { build } from 'esbuild'
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/service.ts'
import { claimsOf, documentationFences, type Fence } from './fences.ts'
import { publishedPackages, root } from './workspace.ts'

const run = promisify(execFile)
const claiming = documentationFences().filter(fence => fence.text.includes('// =>'))

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('guides')
})
afterAll(() => folder.remove())

describe('what the documentation says of results', () => {
  test('is said in several guides', () => {
    expect(new Set(claiming.map(({ at }) => at.split(':')[0])).size).toBeGreaterThan(2)
  })

  test.each(claiming)('is true at $at', async fence => {
    const { claims } = claimsOf(fence)
    expect(claims.length, 'claims that stand where they can be checked').toBe(fence.text.split('// =>').length - 1)
    const results = await runFence(fence, join(folder.path, `${claiming.indexOf(fence)}.mjs`))
    expect(results.map(({ line, holds, actual }) => ({ line, holds, ...(!holds && { actual }) }))).toEqual(
      claims.map(({ line }) => ({ line, holds: true })),
    )
  })

  test('is found when it is false', async () => {
    const fence: Fence = {
      at: 'here',
      home: join(root, 'test'),
      fileName: join(root, 'test/false.ts'),
      text: `const sum = 1 + 1 // => 3\nthrowing() // => throws MINE\nfunction throwing(): never {\n  throw Object.assign(new Error(), { code: 'YOURS' })\n}\n`,
    }
    const results = await runFence(fence, join(folder.path, 'false.mjs'))
    expect(results).toEqual([
      { line: 1, holds: false, actual: '2' },
      { line: 2, holds: false, actual: `'YOURS'` },
    ])
  })
})

test('every setting of the server stands in the deployment guide, and no other', () => {
  const config = join(root, 'examples/koa-server/src/config.ts')
  const source = ts.createSourceFile(config, readFileSync(config, 'utf8'), ts.ScriptTarget.ES2023, true)
  const settings: string[] = []
  source.forEachChild(function visit(node) {
    if (ts.isVariableDeclaration(node) && node.name.getText() === 'variables') {
      const initializer = node.initializer && ts.isAsExpression(node.initializer) && node.initializer.expression
      if (initializer && ts.isObjectLiteralExpression(initializer))
        settings.push(...initializer.properties.map(property => property.name?.getText() ?? ''))
    }
    node.forEachChild(visit)
  })
  const guide = readFileSync(join(root, 'docs/guide/deployment.md'), 'utf8')
  const [, section = ''] = guide.split('\n## Settings\n')
  const [table = ''] = section.split('\n## ')
  expect(settings.length).toBeGreaterThan(10)
  expect([...table.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, name]) => name).sort()).toEqual(settings.sort())
})

test('every file that a page names exists', () => {
  const pages = globSync('docs/**/*.md', { cwd: root, exclude: ['docs/site'] })
  expect(pages.length).toBeGreaterThan(10)
  const missing = pages.flatMap(page => {
    const named = readFileSync(join(root, page), 'utf8').matchAll(/`((?:packages|examples|test|nginx|docs)\/[^`\s]*)`/g)
    return [...named].map(([, path = '']) => path).filter(path => globSync(path, { cwd: root }).length === 0)
  })
  expect(missing).toEqual([])
})

test('every decision stands in the list of decisions, under its heading', () => {
  const list = readFileSync(join(root, 'docs/decisions/README.md'), 'utf8')
  for (const file of globSync('0*.md', { cwd: join(root, 'docs/decisions') })) {
    const [heading = ''] = readFileSync(join(root, 'docs/decisions', file), 'utf8').split('\n')
    const [number = '', title = ''] = heading.replace('# ', '').split(': ')
    expect(file.startsWith(`${number}-`), file).toBe(true)
    expect(list).toContain(`  - ${file}\n`)
    expect(list).toContain(`| ${number} | [${title}](${file})`)
  }
})

test.each(publishedPackages())('every door of $manifest.name is in the reference', ({ directory, manifest, doors }) => {
  const { packageOptions } = JSON.parse(readFileSync(join(root, 'docs/typedoc.json'), 'utf8')) as {
    packageOptions: { entryPoints: string[] }
  }
  const documented = packageOptions.entryPoints.flatMap(entry => globSync(entry, { cwd: directory }))
  // A command line is told of in the README; it exports nothing.
  const commands = Object.values(manifest.bin ?? {}).map(file => basename(file, '.js'))
  const written = [...doors].filter(([door]) => !commands.includes(door.slice(2))).map(([, source]) => source.slice(2))
  expect(documented.sort()).toEqual(written.sort())
})

interface Result {
  line: number
  holds: boolean
  actual: string
}

/** Runs a fence with its claims in a process of its own, on the sources of the packages. */
async function runFence(fence: Fence, outfile: string): Promise<Result[]> {
  await build({
    stdin: { contents: claimsOf(fence).program, resolveDir: fence.home, loader: 'ts' },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    conditions: ['@countersign/source'],
    // Drivers written as CommonJS ask for Node's modules when they run.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)` },
    logLevel: 'silent',
  })
  const { stdout } = await run(process.execPath, [outfile], { timeout: 20_000 })
  return stdout
    .split('\n')
    .filter(line => line.startsWith('{"line":'))
    .map(line => JSON.parse(line) as Result)
}
