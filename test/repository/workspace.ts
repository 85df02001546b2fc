import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export const root = join(import.meta.dirname, '../..')

interface Manifest {
  name: string
  exports: Record<string, string | Record<string, string>>
  bin?: Record<string, string>
  dependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
}

/** One of the published packages, as its manifest describes it. */
export interface Package {
  readonly directory: string
  readonly manifest: Manifest
  /** Subpath and the source file behind it; the root is `.`. A command is no door: it is run, not imported. */
  readonly doors: ReadonlyMap<string, string>
  /** Source files, relative to `src`. */
  readonly sources: readonly string[]
}

export function publishedPackages(): Package[] {
  return globSync('packages/*/package.json', { cwd: root }).map(file => {
    const directory = join(root, file, '..')
    const manifest = JSON.parse(readFileSync(join(root, file), 'utf8')) as Manifest
    const doors = new Map<string, string>()
    const commands = Object.values(manifest.bin ?? {})
    for (const [door, target] of Object.entries(manifest.exports)) {
      if (typeof target === 'object' && !commands.includes(target.default ?? ''))
        doors.set(door, target['@countersign/source'] ?? '')
    }
    const sources = globSync('**/*.ts', { cwd: join(directory, 'src') }).map(source => relative('.', source))
    return { directory, manifest, doors, sources }
  })
}
