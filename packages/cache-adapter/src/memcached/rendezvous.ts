import { crc32 } from 'node:zlib'

/**
 * Spreads keys over servers by rendezvous hashing (Thaler and Ravishankar, 1998): each key goes to the server with the
 * highest score for it, so adding or removing one of n servers moves about 1/n of the keys and no others.
 *
 * @returns a function from a key to the index of its server
 */
export function rendezvous(labels: readonly string[]): (key: string) => number {
  const seeds = labels.map(label => crc32(label))
  return key => {
    if (seeds.length === 1) return 0
    const hashed = crc32(key)
    let best = 0
    let bestScore = -1
    for (let index = 0; index < seeds.length; index += 1) {
      const score = mix(hashed ^ mix(seeds[index] ?? 0))
      if (score <= bestScore) continue
      best = index
      bestScore = score
    }
    return best
  }
}

/** The finalizer of MurmurHash3: every bit of the input changes half the bits of the output. */
function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
