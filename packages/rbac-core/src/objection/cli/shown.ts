/** A name as it is printed: with quotes unless it is plain, so that none of its characters steers a terminal. */
export function shown(name: string): string {
  return /^[\p{L}\p{N}_.:@/*+-]+$/u.test(name) ? name : JSON.stringify(name).replace(/\p{C}/gu, escaped)
}

/** Names on one line, in an order that no database's collation changes. */
export function shownAll(names: Iterable<string>): string {
  return sorted(names).map(shown).join(', ')
}

export function sorted(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => (a < b ? -1 : Number(a > b)))
}

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`
}
