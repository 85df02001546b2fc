import { InvalidCacheInputError } from '../errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
  /** host:port: the server's name in events, and what keys are spread by. */
  readonly label: string
}

const bracketed = /^\[(?<host>[0-9A-Fa-f:.]+)\](?::(?<port>\d{1,5}))?$/
const plain = /^(?<host>[^\s:@/[\]]+)(?::(?<port>\d{1,5}))?$/

/** Reads `host`, `host:port` or `[ipv6]:port`; the port is 11211 unless given. */
export function parseAddress(text: unknown): Address {
  const groups = typeof text === 'string' ? (bracketed.exec(text) ?? plain.exec(text))?.groups : undefined
  const host = groups?.host
  const port = Number(groups?.port ?? 11211)
  if (host === undefined || port < 1 || port > 65535) {
    throw new InvalidCacheInputError('servers', `must be like 127.0.0.1:11211, not ${JSON.stringify(text)}`)
  }
  return { host, port, label: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` }
}
