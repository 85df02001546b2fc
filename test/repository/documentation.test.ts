import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { root } from './workspace.ts'

interface Fence {
  /** A file name beside the source, so that imports resolve as they do there. */
  readonly fileName: string
  readonly text: string
}

const configFile = join(root, 'tsconfig.base.json')

test('every ts fence in a docstring or a package README compiles by itself', () => {
  const fences = [
    ...globSync('packages/*/src/**/*.ts', { cwd: root }),
    ...globSync('{README.md,packages/*/README.md}', { cwd: root }),
  ].flatMap(file => fencesOf(file))
  expect(fences.length).toBeGreaterThan(10)
  expect(compile(fences)).toEqual([])
})

test('a fence with a mistake is found', () => {
  const fileName = join(root, 'packages/rbac-core/src/mistaken.ts.fence-1.ts')
  const text = `import { definePermissions } from '@countersign/rbac-core'\nexport const n: number = definePermissions({ a: ['b'] })\n`
  expect(compile([{ fileName, text }])).toHaveLength(1)
})

function fencesOf(file: string): Fence[] {
  const source = readFileSync(join(root, file), 'utf8')
  const fences: Fence[] = []
  for (const [, indent = '', body = ''] of source.matchAll(/^([ \t]*(?:\* )?)```ts\n([\s\S]*?)^[ \t]*(?:\* )?```$/gm)) {
    const margin = indent.includes('*') ? /^[ \t]*\* ?/gm : /^/gm
    fences.push({
      fileName: join(root, `${file}.fence-${fences.length + 1}.ts`),
      text: `${body.replaceAll(margin, '')}\nexport {}\n`,
    })
  }
  return fences
}

function compile(fences: readonly Fence[]): string[] {
  const { config } = ts.readConfigFile(configFile, name => ts.sys.readFile(name)) as {
    config: { compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
    root,
  )
  const texts = new Map(fences.map(fence => [fence.fileName, fence.text]))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = name => texts.has(name) || fileExists.call(host, name)
  host.readFile = name => texts.get(name) ?? readFile.call(host, name)
  host.getSourceFile = (name, target, ...rest) => {
    const text = texts.get(name)
    return text === undefined
      ? getSourceFile.call(host, name, target, ...rest)
      : ts.createSourceFile(name, text, target)
  }
  const program = ts.createProgram([...texts.keys()], options, host)
  return ts
    .getPreEmitDiagnostics(program)
    .filter(diagnostic => diagnostic.file && texts.has(diagnostic.file.fileName))
    .map(diagnostic => {
      const { file, start = 0 } = diagnostic
      const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1
      return `${relative(root, file?.fileName ?? '')}:${line} ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')}`
    })
}
