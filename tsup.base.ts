import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'tsup'

interface Manifest {
  exports: Record<string, string | Record<string, string>>
}

/** One entry per door in the package's `exports`, so that the list stands in one place. */
export function packageBuild(directory: string): ReturnType<typeof defineConfig> {
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
  const entry: Record<string, string> = {}
  for (const [door, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') continue
    const source = target['@countersign/source']
    if (source) entry[door === '.' ? 'index' : door.slice(2)] = source
  }
  return defineConfig({ entry, format: 'esm', target: 'es2022', dts: true, sourcemap: true, clean: true, silent: true })
}
