/** A set of small numbers, one bit each. */
export type Bits = Uint32Array

export function emptyBits(size: number): Bits {
  return new Uint32Array((size + 31) >>> 5)
}

export function setBit(bits: Bits, index: number): void {
  bits[index >>> 5] = (bits[index >>> 5] ?? 0) | (1 << (index & 31))
}

export function hasBit(bits: Bits, index: number): boolean {
  return ((bits[index >>> 5]! >>> (index & 31)) & 1) === 1
}

/** Adds every member of `from` to `bits`. */
export function addBits(bits: Bits, from: Bits): void {
  for (let word = 0; word < from.length; word++) bits[word] = bits[word]! | from[word]!
}

/** Takes every member of `from` out of `bits`. */
export function removeBits(bits: Bits, from: Bits): void {
  for (let word = 0; word < from.length; word++) bits[word] = bits[word]! & ~from[word]!
}

/** Counts the members of `bits` that are not in `other`. */
export function countMissing(bits: Bits, other: Bits): number {
  let count = 0
  for (let word = 0; word < bits.length; word++) {
    let rest = bits[word]! & ~other[word]!
    for (; rest !== 0; count++) rest &= rest - 1
  }
  return count
}

/** Lists the members in rising order. */
export function members(bits: Bits): number[] {
  const found: number[] = []
  for (let word = 0; word < bits.length; word++) {
    for (let rest = bits[word]!; rest !== 0; rest &= rest - 1) {
      found.push(word * 32 + 31 - Math.clz32(rest & -rest))
    }
  }
  return found
}
