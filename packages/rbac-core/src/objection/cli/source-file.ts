import { readFile } from 'node:fs/promises'
import type { LineCounter, Node } from 'yaml'
import { InputError } from './input-error.ts'
import { jsonLines } from './json-lines.ts'
import { peer } from './peer.ts'

/** Where in a file something stands: the names of members and the numbers of items that lead there. */
export type Path = readonly (string | number)[]

/** A YAML or JSON file as it was read. */
export interface SourceFile {
  readonly file: string
  readonly value: unknown
  /** Puts file and line before a message about the thing at this path. */
  at(path: Path, message: string): string
}

/** Reads a file. JSON needs no other package; everything else is YAML, for the optional peer `yaml`. */
export async function readSource(file: string): Promise<SourceFile> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new InputError([`${file}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`], { cause })
  })
  const { value, lines } = file.endsWith('.json') ? readJson(file, text) : await readYaml(file, text)
  return {
    file,
    value,
    at: (path, message) => {
      // What is reached through an alias has no line of its own; what holds it has.
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(JSON.stringify(path.slice(0, length)))
        if (line !== undefined) return `${file}:${line}: ${message}`
      }
      return `${file}:1: ${message}`
    },
  }
}

interface Read {
  readonly value: unknown
  readonly lines: ReadonlyMap<string, number>
}

function readJson(file: string, text: string): Read {
  const lines = jsonLines(text, (line, message) => {
    throw new InputError([`${file}:${line}: ${message}`])
  })
  return { value: JSON.parse(text), lines }
}

async function readYaml(file: string, text: string): Promise<Read> {
  const yaml = await peer('yaml', 'YAML files', () => import('yaml'))
  const counter = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter: counter, prettyErrors: false })
  if (document.errors.length > 0) {
    throw new InputError(document.errors.map(error => `${file}:${lineAt(counter, error.pos[0])}: ${error.message}`))
  }
  const lines = new Map<string, number>()
  const walk = (node: unknown, path: Path): void => {
    if (yaml.isMap(node)) {
      for (const { key, value } of node.items) {
        const name = String(yaml.isScalar(key) ? key.value : key)
        note(key, [...path, name])
        walk(value, [...path, name])
      }
    }
    if (yaml.isSeq(node)) {
      node.items.forEach((item, index) => {
        note(item, [...path, index])
        walk(item, [...path, index])
      })
    }
  }
  const note = (node: unknown, path: Path): void => {
    const range = yaml.isNode(node) ? (node as Node).range : undefined
    if (range) lines.set(JSON.stringify(path), lineAt(counter, range[0]))
  }
  walk(document.contents, [])
  try {
    return { value: document.toJS() as unknown, lines }
  } catch (cause) {
    // A name without an anchor, or aliases that would unfold without end.
    throw new InputError([`${file}:1: ${cause instanceof Error ? cause.message : String(cause)}`], { cause })
  }
}

function lineAt(counter: LineCounter, offset: number): number {
  return counter.linePos(offset).line
}
