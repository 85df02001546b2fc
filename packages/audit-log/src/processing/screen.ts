/** What one look at every character of a text found, as bits; the costlier looks are taken only where one is set. */
export const found = {
  nul: 1,
  surrogate: 2,
  notAscii: 4,
  colon: 8,
  equals: 16,
  lessThan: 32,
  space: 64,
  dash: 128,
  capitalJ: 256,
  /** `_`, `-`, `.` or a capital A: what the tokens of well-known services have in front. */
  serviceMark: 512,
  /** 13 digits or more with nothing but spaces and dashes between them. */
  manyDigits: 1024,
} as const

const [digit, none] = [2048, 0]
const fewestDigits = 13

const bits = new Uint16Array(128)
bits[0x00] = found.nul
bits[0x20] = found.space
bits[0x2d] = found.dash | found.serviceMark
bits[0x2e] = found.serviceMark
bits[0x3a] = found.colon
bits[0x3c] = found.lessThan
bits[0x3d] = found.equals
bits[0x41] = found.serviceMark
bits[0x4a] = found.capitalJ
bits[0x5f] = found.serviceMark
bits.fill(digit, 0x30, 0x3a)

/** Looks at every character of `text` once. */
export function screen(text: string): number {
  let all = none
  let digits = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > 127) {
      all |= code >= 0xd800 && code <= 0xdfff ? found.notAscii | found.surrogate : found.notAscii
      digits = 0
      continue
    }
    const bit = bits[code] ?? none
    all |= bit
    if (bit === digit) {
      if (++digits >= fewestDigits) all |= found.manyDigits
    } else if (!(bit & (found.space | found.dash))) digits = 0
  }
  return all & ~digit
}
