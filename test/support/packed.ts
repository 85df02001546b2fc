import { execFile } from 'node:child_process'
import { cp, mkdir } from 'node:fs/promises'
import { existsSync, globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** A published package as npm would receive it. */
export interface PackedPackage {
  readonly tarball: string
  /** The files that went into the tarball, unpacked. */
  readonly directory: string
  /** What the build had to say; a clean build says nothing. */
  readonly buildOutput: string
}

/**
 * Builds every package with its declarations and packs it. The build goes to `folder`, so that the `dist` folders,
 * which other tests run from, stay as they are.
 */
export async function packPackages(folder: string): Promise<PackedPackage[]> {
  const sources = globSync('packages/*', { cwd: root }).map(directory => join(root, directory))
  const packed: PackedPackage[] = []
  // Two at a time: a build of declarations takes a core and some 500 MB.
  const waiting = [...sources]
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) packed.push(await pack(next, folder))
  }
  await Promise.all([worker(), worker()])
  return packed.sort((a, b) => a.directory.localeCompare(b.directory))
}

async function pack(source: string, folder: string): Promise<PackedPackage> {
  const staged = join(folder, 'staged', basename(source))
  await mkdir(staged, { recursive: true })
  const { stdout, stderr } = await run(join(root, 'node_modules/.bin/tsup'), ['--out-dir', join(staged, 'dist')], {
    cwd: source,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
  })
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'src'])
    if (existsSync(join(source, name))) await cp(join(source, name), join(staged, name), { recursive: true })

  const tarballs = join(folder, 'tarballs')
  await mkdir(tarballs, { recursive: true })
  const { stdout: json } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', tarballs], {
    cwd: staged,
  })
  const [{ filename } = { filename: '' }] = JSON.parse(json) as { filename: string }[]
  const tarball = join(tarballs, filename)
  const directory = join(folder, 'unpacked', basename(source))
  await mkdir(directory, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', directory, '--strip-components=1'])
  return { tarball, directory, buildOutput: `${stdout}${stderr}`.trim() }
}
