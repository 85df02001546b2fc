import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { publishedPackages, type Package } from './workspace.ts'

describe.each(publishedPackages())('$manifest.name', pkg => {
  test('keeps its core free of frameworks, drivers and adapters, and its doors apart', () => {
    expect(pkg.sources.flatMap(source => forbiddenImports(pkg, source))).toEqual([])
  })

  test('declares every package that its doors import', () => {
    const declared = { ...pkg.manifest.dependencies, ...pkg.manifest.peerDependencies }
    const imported = pkg.sources
      .flatMap(source => importsOf(pkg, source))
      .filter(name => !isRelative(name) && !name.startsWith('node:'))
    expect([...new Set(imported.map(packageName))].filter(name => !(name in declared))).toEqual([])
  })
})

/** The folder of a door, such as `koa`; undefined for a core file. */
function doorFolder(pkg: Package, source: string): string | undefined {
  const folders = [...pkg.doors.values()]
    .map(file => dirname(file.replace('./src/', '')))
    .filter(folder => folder !== '.')
  return folders.find(folder => source.startsWith(`${folder}/`))
}

function forbiddenImports(pkg: Package, source: string): string[] {
  const folder = doorFolder(pkg, source)
  return importsOf(pkg, source).flatMap(name => {
    if (name.startsWith('node:')) return []
    if (!isRelative(name)) {
      if (name.startsWith('@countersign/')) return [`${source} imports ${name}, another package`]
      return folder === undefined ? [`${source} imports ${name}, but a core file imports nothing from outside`] : []
    }
    const target = normalize(join(dirname(source), name))
    if (target.startsWith('..')) return [`${source} imports ${name} from outside src`]
    const targetFolder = doorFolder(pkg, target)
    return targetFolder === undefined || targetFolder === folder
      ? []
      : [`${source} imports ${name} through another door`]
  })
}

function importsOf(pkg: Package, source: string): string[] {
  const text = readFileSync(join(pkg.directory, 'src', source), 'utf8')
  return ts.preProcessFile(text, true, true).importedFiles.map(file => file.fileName)
}

function isRelative(name: string): boolean {
  return name.startsWith('.')
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
