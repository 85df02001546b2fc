import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { packPackages, type PackedPackage } from '../support/packed.ts'
import { temporaryFolder } from '../support/service.ts'
import { publishedPackages, root } from './workspace.ts'

const run = promisify(execFile)
const smoke = join(root, 'test/consumer/smoke.mjs')
const tool = (name: string): string => join(root, 'node_modules/.bin', name)

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let packed: PackedPackage[]
beforeAll(async () => {
  folder = await temporaryFolder('packaging')
  packed = await packPackages(folder.path)
})
afterAll(() => folder.remove())

interface Smoked {
  node: string
  project: string
  doors: string[]
}

/** Installs the tarballs into an empty project and loads every door there, by a node outside of pnpm's reach. */
async function consume(peers: 'lowest' | 'highest', node = process.execPath): Promise<Smoked> {
  const { stdout } = await run(node, [smoke, join(folder.path, 'tarballs'), '--peers', peers], {
    // pnpm tells npm of its own settings, some of which npm does not know.
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_config_/i.test(name))),
  })
  return JSON.parse(stdout) as Smoked
}

describe.each(publishedPackages())('the tarball of $manifest.name', ({ directory, manifest }) => {
  const unpacked = (): PackedPackage => {
    const found = packed.find(entry => basename(entry.directory) === basename(directory))
    if (!found) throw new Error(`${manifest.name} was not packed`)
    return found
  }

  test('has every file that its exports name, under every condition', () => {
    const files = Object.values(manifest.exports).flatMap(target =>
      typeof target === 'string' ? [target] : Object.values(target),
    )
    expect(files.length).toBeGreaterThan(3)
    expect(files.filter(file => !existsSync(join(unpacked().directory, file)))).toEqual([])
  })

  test('comes from a build that had nothing to warn of', () => {
    expect(unpacked().buildOutput).toBe('')
  })

  test('names its licence and stands alone with a README', async () => {
    const licence = await readFile(join(unpacked().directory, 'LICENSE'), 'utf8')
    expect(licence).toBe(readFileSync(join(root, 'LICENSE'), 'utf8'))
    const readme = await readFile(join(unpacked().directory, 'README.md'), 'utf8')
    expect(readme).toContain(`# ${manifest.name}`)
    const packedManifest = JSON.parse(await readFile(join(unpacked().directory, 'package.json'), 'utf8')) as unknown
    expect(packedManifest).toMatchObject({
      license: 'MIT',
      type: 'module',
      sideEffects: false,
      engines: { node: '>=22.12' },
      files: ['dist', 'src'],
      repository: { type: 'git', directory: `packages/${basename(directory)}` },
    })
    expect(packedManifest).not.toHaveProperty('dependencies')
  })

  test('satisfies publint at its strictest', async () => {
    const tarball = await readFile(unpacked().tarball)
    const { messages, pkg } = await publint({
      pack: { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) },
      strict: true,
    })
    expect(messages.map(message => formatMessage(message, pkg, { color: false }))).toEqual([])
  })

  test('gives every door its types, for an import and for a bundler', async () => {
    // ESM only: a resolver that looks at `main`, or asks for CommonJS types, is not served.
    const args = [unpacked().tarball, '--profile', 'esm-only', '--format', 'table-flipped', '--no-color', '--no-emoji']
    const { stdout } = await run(tool('attw'), args)
    for (const door of Object.keys(manifest.exports)) expect(stdout).toContain(`"${manifest.name}${door.slice(1)}"`)
  })
})

describe('an empty project', () => {
  let highest: Smoked
  let lowest: Smoked
  beforeAll(async () => {
    ;[highest, lowest] = await Promise.all([consume('highest'), consume('lowest')])
  })

  test('loads every door by import and by require, with the highest and the lowest peers that are allowed', () => {
    const expected = publishedPackages()
      .flatMap(({ manifest, doors }) => [...doors.keys()].map(door => manifest.name + door.slice(1)))
      .sort()
    for (const { doors, node } of [highest, lowest]) {
      expect(doors.sort()).toEqual(expected)
      expect(node).toBe(process.version)
    }
  })

  test.each([
    ['typescript', 'nodenext'],
    ['typescript', 'bundler'],
    ['typescript-7', 'nodenext'],
    ['typescript-7', 'bundler'],
  ])('is compiled, with declarations, by %s under %s resolution', async (compiler, resolution) => {
    expect(await compile(highest.project, compiler, resolution)).toEqual([])
  })

  test('is compiled with the lowest peers too', async () => {
    expect(await compile(lowest.project, 'typescript', 'nodenext')).toEqual([])
  })
})

/** The compiler's complaints about the program and about our declarations; peers answer for their own. */
async function compile(project: string, compiler: string, moduleResolution: string): Promise<string[]> {
  const file = join(project, `tsconfig.${moduleResolution}.json`)
  await writeFile(
    file,
    JSON.stringify({
      include: ['program.ts'],
      compilerOptions: {
        target: 'es2022',
        lib: ['es2023'],
        types: ['node'],
        module: moduleResolution === 'bundler' ? 'esnext' : 'nodenext',
        moduleResolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        verbatimModuleSyntax: true,
        declaration: true,
        skipLibCheck: false,
        outDir: `out-${moduleResolution}`,
      },
    }),
  )
  const tsc = join(project, 'node_modules', compiler, 'bin/tsc')
  const ended = await run(process.execPath, [tsc, '-p', file], { cwd: project }).catch((error: unknown) => error)
  if (!(ended instanceof Error)) return []
  const { stdout = '' } = ended as Error & { stdout?: string }
  // A compiler that did not get to compile has found nothing.
  if (!stdout.includes('error TS')) throw ended
  return stdout.split('\n').filter(line => /^(program\.ts|node_modules\/@countersign\/)/.test(line))
}
