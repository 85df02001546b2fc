import { hash, verify, type Options } from '@node-rs/argon2'
import { Problem } from './problem.ts'

// OWASP's second choice of parameters for argon2id: 19 MiB, two passes, one lane.
const options: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** Each hash takes 19 MiB and some 40 ms of a core: without a bound, sign-ins would be a way to stop the server. */
const atOnce = 2
const mayWait = 50
let running = 0
const waiting: (() => void)[] = []

async function bounded<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) {
    if (waiting.length >= mayWait) throw new Problem(503, 'BUSY', 'Too many sign-ins at the moment; try again')
    await new Promise<void>(resolve => waiting.push(resolve))
  } else {
    running += 1
  }
  try {
    return await work()
  } finally {
    // The place is handed on, so that a newcomer cannot take it from the one who waits.
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }
}

/** Hashes a password with argon2id. */
export function hashPassword(password: string): Promise<string> {
  return bounded(() => hash(password, options))
}

let decoy: Promise<string> | undefined

/** Tells whether the password fits; without a hash (an unknown user) it takes the same time and answers no. */
export async function verifyPassword(passwordHash: string | undefined, password: string): Promise<boolean> {
  decoy ??= hash('nobody has this password', options)
  const against = passwordHash ?? (await decoy)
  const fits = await bounded(() => verify(against, password))
  return fits && passwordHash !== undefined
}
