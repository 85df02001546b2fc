import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { publishedPackages, root, type Package } from './workspace.ts'

const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')

describe.each(publishedPackages())('the errors of $manifest.name', pkg => {
  test('are all on the page, and the page has no others', () => {
    const inCode = [...codesOf(pkg)].map(([code, classes]) => ({ code, classes: [...classes].sort() }))
    expect(inCode.length).toBeGreaterThan(3)
    expect(byCode(onPage(pkg.manifest.name))).toEqual(byCode(inCode))
  })
})

function byCode<T extends { code: string }>(list: T[]): T[] {
  return list.sort((a, b) => a.code.localeCompare(b.code))
}

test('a code belongs to one package', () => {
  const codes = publishedPackages().flatMap(pkg => [...codesOf(pkg).keys()])
  expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([])
})

/** Each `### CODE` under the package's heading, with the class that the next line begins with. */
function onPage(packageName: string): { code: string; classes: string[] }[] {
  const [, section = ''] = page.split(`\n## ${packageName}\n`)
  const [own = ''] = section.split('\n## ')
  return [...own.matchAll(/^### (\w+)\n\n((?:`\w+Error`(?:, )?)+)/gm)].map(([, code = '', classes = '']) => ({
    code,
    classes: [...classes.matchAll(/\w+/g)].map(([name]) => name).sort(),
  }))
}

/** Every code that an error of the package can have, with the classes that have it, as the sources say. */
function codesOf({ directory, sources }: Package): Map<string, Set<string>> {
  const codes = new Map<string, Set<string>>()
  const add = (code: string, errorClass: string): void => {
    codes.set(code, (codes.get(code) ?? new Set()).add(errorClass))
  }
  for (const source of sources) {
    const file = join(directory, 'src', source)
    const parsed = ts.createSourceFile(basename(file), readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023, true)
    visit(parsed, undefined)
  }
  return codes

  function visit(node: ts.Node, within: string | undefined): void {
    let errorClass = within
    if (ts.isClassDeclaration(node)) errorClass = isError(node) ? node.name?.text : undefined
    const found = errorClass === undefined ? undefined : codeIn(node)
    if (found !== undefined && errorClass !== undefined) add(found, errorClass)
    const made = madeError(node)
    if (made) add(made.code, made.errorClass)
    ts.forEachChild(node, child => {
      visit(child, errorClass)
    })
  }
}

function isError(node: ts.ClassDeclaration): boolean {
  return (node.heritageClauses ?? []).some(clause =>
    clause.types.some(type => type.expression.getText().endsWith('Error')),
  )
}

/** `readonly code = 'CODE'` or `super('CODE', …)` inside an error class. A declared type means that it varies. */
function codeIn(node: ts.Node): string | undefined {
  if (ts.isPropertyDeclaration(node) && node.name.getText() === 'code' && !node.type) return literal(node.initializer)
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.SuperKeyword)
    return literal(node.arguments[0])
  return undefined
}

/** `new SomeError('CODE', …)`. */
function madeError(node: ts.Node): { code: string; errorClass: string } | undefined {
  if (!ts.isNewExpression(node) || !node.expression.getText().endsWith('Error')) return undefined
  const code = literal(node.arguments?.[0])
  return code === undefined ? undefined : { code, errorClass: node.expression.getText() }
}

function literal(node: ts.Expression | undefined): string | undefined {
  const value = node && ts.isAsExpression(node) ? node.expression : node
  return value && ts.isStringLiteral(value) && /^[A-Z_]{4,}$/.test(value.text) ? value.text : undefined
}
