type Path = readonly (string | number)[]

/** Says what is wrong in a line; it does not return. */
type Refuse = (line: number, message: string) => never

/**
 * Finds the line of every member and item of a JSON text, and refuses what is no JSON and a member that repeats:
 * `JSON.parse` tells no line of the one and keeps silent about the other.
 */
export function jsonLines(text: string, refuse: Refuse): Map<string, number> {
  const lines = new Map<string, number>()
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+|"/g)]
  let line = 1
  let counted = 0
  let next = 0

  const peek = (): string => tokens[next]?.[0] ?? 'the end of the file'

  function take(...expected: readonly string[]): string {
    const token = peek()
    const until = tokens[next]?.index ?? text.length
    for (; counted < until; counted++) if (text[counted] === '\n') line++
    if (expected.length > 0 && !expected.includes(token)) {
      refuse(line, `expected ${expected.join(' or ')} and not ${token}`)
    }
    next++
    return token
  }

  function scalar(token: string): unknown {
    try {
      return JSON.parse(token)
    } catch {
      return refuse(line, `expected JSON and not ${token}`)
    }
  }

  function value(path: Path): void {
    const token = take()
    const key = JSON.stringify(path)
    if (!lines.has(key)) lines.set(key, line)
    if (token === '[') several(']', index => value([...path, index]))
    else if (token === '{') several('}', () => member(path))
    else scalar(token)
  }

  function several(end: string, one: (index: number) => void): void {
    if (peek() === end) {
      take()
      return
    }
    for (let index = 0; index === 0 || take(',', end) === ','; index++) one(index)
  }

  function member(path: Path): void {
    const name = scalar(take())
    if (typeof name !== 'string') return refuse(line, 'expected a name in quotes')
    const key = JSON.stringify([...path, name])
    if (lines.has(key)) refuse(line, `${JSON.stringify(name)} is there twice`)
    lines.set(key, line)
    take(':')
    value([...path, name])
  }

  value([])
  if (next < tokens.length) take('the end of the file')
  return lines
}
