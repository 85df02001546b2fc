import { InputError } from './input-error.ts'
import type { Path, SourceFile } from './source-file.ts'

/** The error that something in a file is not what it must be. */
export function wrong(source: SourceFile, path: Path, expected: string): InputError {
  return new InputError([source.at(path, `${fieldOf(path)}: expected ${expected}`)])
}

/** The members of a map. */
export function members(source: SourceFile, path: Path): Map<string, unknown> {
  const value = valueAt(source, path)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(source, path, 'a map')
  return new Map(Object.entries(value))
}

/** Refuses a map with other members: a misspelt one would be left out of what is meant. */
export function only(source: SourceFile, path: Path, names: readonly string[]): void {
  for (const name of members(source, path).keys()) {
    if (!names.includes(name)) {
      const known = names.join(', ')
      throw new InputError([source.at([...path, name], `${fieldOf([...path, name])} is none of ${known}`)])
    }
  }
}

export function list(source: SourceFile, path: Path): readonly unknown[] {
  const value = valueAt(source, path)
  if (!Array.isArray(value)) throw wrong(source, path, 'a list')
  return value
}

export function text(source: SourceFile, path: Path): string {
  const value = valueAt(source, path)
  if (typeof value !== 'string') throw wrong(source, path, 'a text')
  return value
}

export function texts(source: SourceFile, path: Path): string[] {
  return list(source, path).map((_, index) => text(source, [...path, index]))
}

export function flag(source: SourceFile, path: Path): boolean {
  const value = valueAt(source, path)
  if (typeof value !== 'boolean') throw wrong(source, path, 'true or false')
  return value
}

function valueAt(source: SourceFile, path: Path): unknown {
  let value = source.value
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

function fieldOf(path: Path): string {
  if (path.length === 0) return 'the file'
  return path
    .map(step => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '')
}
