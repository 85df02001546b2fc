import { invalidOption } from '../errors.ts'

const defaultHeartbeatSeconds = 10

/** Checks the broker's URL and adds the heartbeat, which amqplib reads from nowhere else. Errors never show the password. */
export function brokerUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw invalidOption('url', 'an amqp:// or amqps:// URL', 'a text that is no URL')
  }
  if (url.protocol !== 'amqp:' && url.protocol !== 'amqps:') {
    throw invalidOption('url', 'an amqp:// or amqps:// URL', `one with ${url.protocol}//`)
  }
  if (url.hostname === '') throw invalidOption('url', 'one with a host', 'one without')
  const heartbeat = Number(url.searchParams.get('heartbeat') ?? defaultHeartbeatSeconds)
  if (!Number.isInteger(heartbeat) || heartbeat < 1 || heartbeat > 3600) {
    throw invalidOption('heartbeat in the url', 'a whole number of seconds from 1 to 3600', heartbeat)
  }
  url.searchParams.set('heartbeat', String(heartbeat))
  return url.href
}

/** Names the broker without its credentials, for messages. */
export function brokerName(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
