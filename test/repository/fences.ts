import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import ts from 'typescript'
import { root } from './workspace.ts'

/** One ```ts block of the documentation, as a module of its own. */
export interface Fence {
  /** Where it stands, as `file:line`. */
  readonly at: string
  /** A folder from where its imports resolve. */
  readonly home: string
  /** The name of a file that does not exist, in `home`. */
  readonly fileName: string
  readonly text: string
}

const configFile = join(root, 'tsconfig.base.json')

/** The fences of docstrings, READMEs and guides. */
export function documentationFences(): Fence[] {
  return [
    ...globSync('packages/*/src/**/*.ts', { cwd: root }),
    ...globSync('{README.md,CONTRIBUTING.md,SECURITY.md,packages/*/README.md,examples/*/README.md}', { cwd: root }),
    ...globSync('docs/**/*.md', { cwd: root, exclude: ['docs/site'] }),
  ].flatMap(file => fencesOf(file))
}

function fencesOf(file: string): Fence[] {
  const source = readFileSync(join(root, file), 'utf8')
  const fences: Fence[] = []
  for (const match of source.matchAll(/^([ \t]*(?:\* )?)```ts\n([\s\S]*?)^[ \t]*(?:\* )?```$/gm)) {
    const [, indent = '', body = ''] = match
    const margin = indent.includes('*') ? /^[ \t]*\* ?/gm : /^/gm
    const text = `${body.replaceAll(margin, '')}\nexport {}\n`
    const home = join(root, /^(packages|examples)\//.test(file) ? dirname(file) : homeOf(text))
    fences.push({
      at: `${file}:${source.slice(0, match.index).split('\n').length}`,
      home,
      fileName: join(home, `${file.replaceAll('/', '-')}.fence-${fences.length + 1}.ts`),
      text,
    })
  }
  return fences
}

/** Nothing is installed beside the documentation: a guide is at home in the first package that has what it imports. */
function homeOf(text: string): string {
  const imported = [...text.matchAll(/from '((?:@[^/']+\/)?[^/'.:]+)[^':]*'/g)].map(([, name = '']) => name)
  const homes = ['test', 'packages/rbac-core', 'packages/audit-log']
  const has = (home: string, name: string): boolean =>
    existsSync(join(root, home, 'node_modules', name)) || name === `@countersign/${basename(home)}`
  return homes.find(home => imported.every(name => has(home, name))) ?? 'test'
}

/** The compiler's complaints about the fences, each compiled as a module that knows nothing of the others. */
export function compileFences(fences: readonly Fence[]): string[] {
  const { config } = ts.readConfigFile(configFile, name => ts.sys.readFile(name)) as {
    config: { compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
    root,
  )
  const texts = new Map(fences.map(fence => [fence.fileName, fence.text]))
  const places = new Map(fences.map(fence => [fence.fileName, fence.at]))
  const disk = ts.createCompilerHost(options)
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: name => texts.has(name) || disk.fileExists(name),
    readFile: name => texts.get(name) ?? disk.readFile(name),
    getSourceFile: (name, target, ...rest) => {
      const text = texts.get(name)
      return text === undefined ? disk.getSourceFile(name, target, ...rest) : ts.createSourceFile(name, text, target)
    },
  }
  const program = ts.createProgram([...texts.keys()], options, host)
  return ts
    .getPreEmitDiagnostics(program)
    .filter(diagnostic => diagnostic.file && texts.has(diagnostic.file.fileName))
    .map(diagnostic => {
      const { file, start = 0 } = diagnostic
      const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) + 1
      const what = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')
      return `${places.get(file?.fileName ?? '')}, line ${line} of the fence: ${what}`
    })
}

/** A claim of a fence: the statement before `// => expected` has this value. */
export interface Claim {
  readonly line: number
  readonly expected: string
}

/**
 * Finds the claims of a fence and writes a program that checks them: it prints one JSON line for each claim.
 *
 * `// =>` stands after an expression statement or after a declaration of one name, on its line or below it; what it
 * expects is an expression, or `throws` and an error's code.
 */
export function claimsOf(fence: Fence): { claims: readonly Claim[]; program: string } {
  const file = ts.createSourceFile(fence.fileName, fence.text, ts.ScriptTarget.ES2023, true)
  const claims: Claim[] = []
  let program = ''
  let written = 0
  for (const statement of file.statements) {
    const end = endOf(statement)
    const expected = claimAfter(fence.text, end)
    if (expected === undefined) continue
    const claim = { line: file.getLineAndCharacterOfPosition(end).line + 1, expected }
    const start = statement.getStart()
    program += fence.text.slice(written, start) + checked(statement, claim)
    written = end
    claims.push(claim)
  }
  return { claims, program: preamble + program + fence.text.slice(written) }
}

/** Without the semicolon, which may stand on a later line, behind the claim. */
function endOf(statement: ts.Statement): number {
  if (ts.isExpressionStatement(statement)) return statement.expression.end
  return ts.isVariableStatement(statement) ? statement.declarationList.end : statement.end
}

function claimAfter(text: string, end: number): string | undefined {
  return /^[ \t]*\n?[ \t]*\/\/ => (.+)/.exec(text.slice(end))?.[1]
}

function checked(statement: ts.Statement, { line, expected }: Claim): string {
  const thrown = /^throws (\w+)$/.exec(expected)?.[1]
  if (ts.isExpressionStatement(statement)) {
    const expression = statement.expression.getText()
    if (thrown === undefined) return `claim(${line}, ${expression}, (${expected}))`
    const outcome = `(async () => ${expression})().then(() => 'nothing', error => error.code ?? error)`
    return `claim(${line}, await ${outcome}, '${thrown}')`
  }
  if (!ts.isVariableStatement(statement) || thrown !== undefined)
    throw new Error(`line ${line}: "// =>" stands after an expression or a declaration`)
  const declared = statement.declarationList
  return `${declared.getText()}\nclaim(${line}, ${declared.declarations[0]?.name.getText()}, (${expected}))`
}

const preamble = `
import { inspect as claimText, isDeepStrictEqual as claimHolds } from 'node:util'
function claim(line: number, actual: unknown, expected: unknown): void {
  console.log(JSON.stringify({ line, holds: claimHolds(actual, expected), actual: claimText(actual, { depth: 9 }) }))
}
`
