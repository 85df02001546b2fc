import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/service.ts'
import { publishedPackages, root } from './workspace.ts'

const run = promisify(execFile)
const names = publishedPackages()
  .map(({ manifest }) => manifest.name)
  .sort()

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder('changesets')
  const files = ['package.json', 'pnpm-workspace.yaml', '.changeset/config.json']
  for (const file of [...files, ...globSync('{packages,examples}/*/package.json', { cwd: root })]) {
    await mkdir(join(folder.path, dirname(file)), { recursive: true })
    await cp(join(root, file), join(folder.path, file))
  }
})
afterAll(() => folder.remove())

test('every changeset names published packages only', () => {
  const files = globSync('.changeset/*.md', { cwd: root })
  for (const file of files) {
    const [, header = ''] = readFileSync(join(root, file), 'utf8').split(/^---$/m)
    const named = [...header.matchAll(/^'?([^':\n]+)'?: (major|minor|patch)$/gm)].map(match => match[1])
    expect(named.length, file).toBeGreaterThan(0)
    expect(names, file).toEqual(expect.arrayContaining(named))
  }
})

test('a change to two packages raises both to one version, writes why, and leaves the others and the server', async () => {
  const before = new Map(names.map(name => [name, versionOf(name)]))
  await writeFile(
    join(folder.path, '.changeset/two.md'),
    `---\n'@countersign/rbac-core': patch\n'@countersign/audit-log': minor\n---\n\nTells the reason of a denial.\n`,
  )
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.org', ...args], { cwd: folder.path })
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '.')
  await git('commit', '--quiet', '--message', 'Start')
  await run(join(root, 'node_modules/.bin/changeset'), ['version'], { cwd: folder.path })

  const [rbac, audit] = [versionOf('@countersign/rbac-core'), versionOf('@countersign/audit-log')]
  expect(rbac).toBe(audit)
  expect(rbac).not.toBe(before.get('@countersign/rbac-core'))
  for (const name of ['cache-adapter', 'queue-adapter'])
    expect(versionOf(`@countersign/${name}`)).toBe(before.get(`@countersign/${name}`))
  const changelog = await readFile(join(folder.path, 'packages/audit-log/CHANGELOG.md'), 'utf8')
  expect(changelog).toContain(`## ${audit}`)
  expect(changelog).toContain('Tells the reason of a denial.')
  expect(globSync('examples/*/CHANGELOG.md', { cwd: folder.path })).toEqual([])
})

function versionOf(name: string): string {
  const file = join(folder.path, name.replace('@countersign', 'packages'), 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
