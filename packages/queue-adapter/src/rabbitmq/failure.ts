import type { ChannelModel } from 'amqplib'
import { QueueError } from '../errors.ts'

/** Says in plain words why the broker refused us or could not be reached. The cause stays attached; it holds no password. */
export function connectionFailure(broker: string, cause: unknown): QueueError {
  const text = cause instanceof Error ? cause.message : String(cause)
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const refused = (why: string): QueueError => new QueueError('BROKER_REFUSED', `${broker}: ${why}`, { cause })
  if (/ACCESS.REFUSED/i.test(text)) return refused('the broker refuses these credentials')
  // amqplib does not pass on why the broker closes instead of opening the virtual host.
  if (/NOT.ALLOWED|Expected ConnectionOpenOk; got <ConnectionClose/i.test(text)) {
    return refused('the broker does not allow it: the virtual host is missing, or the user has no access to it')
  }
  if (/^ERR_SSL|^ERR_TLS|CERT|SELF_SIGNED/.test(code) || /SSL|certificate/i.test(text)) {
    return refused('TLS failed: amqps:// needs a TLS port and a certificate this process trusts')
  }
  if (text.includes('Socket closed abruptly')) {
    return new QueueError('BROKER_UNAVAILABLE', `${broker}: closed while opening; is it a TLS port behind amqp://?`, {
      cause,
    })
  }
  return new QueueError('BROKER_UNAVAILABLE', `${broker}: ${text}`, { cause })
}

/** Rejects with `failure()` when the promise takes longer. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, failure: () => QueueError): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(failure())
    }, timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

const ends = new WeakMap<ChannelModel, Promise<never>>()

/** Rejects as soon as the connection ends: amqplib may leave a call that is under way then without an answer. */
export function whileOpen<T>(connection: ChannelModel, work: Promise<T>): Promise<T> {
  let end = ends.get(connection)
  if (!end) {
    end = new Promise<never>((_, reject) => {
      const ended = (cause: unknown): void => {
        reject(new QueueError('BROKER_UNAVAILABLE', 'the connection ended before the broker answered', { cause }))
      }
      connection.once('close', ended)
      connection.once('error', ended)
    })
    // Most connections end when nobody waits.
    end.catch(() => undefined)
    ends.set(connection, end)
  }
  return Promise.race([work, end])
}
