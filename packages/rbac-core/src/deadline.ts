import { GrantStoreUnavailableError } from './errors.ts'

/** Settles as `promise` does, or rejects with `GRANT_STORE_UNAVAILABLE` when that takes longer than `ms`. */
export async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new GrantStoreUnavailableError(`No answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
