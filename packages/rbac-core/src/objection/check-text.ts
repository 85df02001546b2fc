import { InvalidDefinitionError } from '../errors.ts'

/** Longer ones would burst an index entry of PostgreSQL, which holds about 2700 bytes. */
const longestName = 200

/** Throws unless it is a name that can be stored, shown and looked up. */
export function checkName(field: string, value: string): void {
  if (typeof value !== 'string' || value.trim() === '' || value.length > longestName || /\p{Cc}/u.test(value)) {
    throw new InvalidDefinitionError(field, `expected 1 to ${longestName} characters, none of them a control character`)
  }
}

/** False for a text with the one character that PostgreSQL cannot store, so that no row can be meant. */
export function isStorable(value: string): boolean {
  return typeof value === 'string' && !value.includes('\0')
}

export function checkText(field: string, value: string | undefined): void {
  if (value !== undefined && !isStorable(value)) throw new InvalidDefinitionError(field, 'expected a text without NUL')
}
