/// <reference lib="es2024.string" />

const nul = '\u0000'
const replacement = '\uFFFD'

/** Gives `text` as PostgreSQL can store it: without NUL, and with lone surrogates replaced. */
export function wellFormed(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed()
  return whole.includes(nul) ? whole.replaceAll(nul, replacement) : whole
}

/** Cuts `text` to `length` UTF-16 units at most and marks the cut; `total` is how long the original was. */
export function cut(text: string, length: number, total: number = text.length): string {
  if (text.length <= length && total <= length) return text
  return `${wellFormed(text.slice(0, length))}[truncated: ${total} characters]`
}
