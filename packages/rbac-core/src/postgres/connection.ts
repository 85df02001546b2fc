import { Socket } from 'node:net'
import pg from 'pg'
import type { VersionReading } from './followed-version.ts'

export type ConnectionConfig = Omit<pg.ClientConfig, 'stream'>

/** One attempt at a listening connection: used until it is lost, and never again. */
export interface ListeningConnection {
  /** Connects and listens; the notifications of every transaction that commits after it resolved are heard. */
  listen(onNotification: (payload: string | undefined) => void): Promise<void>
  readVersion(): Promise<VersionReading>
  /** Aborts, with the error as its reason, when the connection is of no more use. */
  readonly lost: AbortSignal
  /** Closes the socket whatever state the protocol is in: a frozen server must not hold up a shutdown. */
  destroy(): void
}

const grantChannel = 'countersign_rbac'

const answerMs = 5_000

export function openConnection(config: ConnectionConfig, closing: AbortSignal): ListeningConnection {
  const socket = new Socket()
  const client = new pg.Client({
    connectionTimeoutMillis: answerMs,
    keepAliveInitialDelayMillis: 10_000,
    ...config,
    application_name: config.application_name ?? 'countersign-rbac-changes',
    keepAlive: true,
    query_timeout: answerMs,
    stream: () => socket,
  })
  const lost = new AbortController()
  const destroy = (): void => {
    closing.removeEventListener('abort', destroy)
    socket.destroy()
    lost.abort(new Error('The listening connection was closed'))
  }
  client.on('error', error => {
    lost.abort(error)
  })
  client.on('end', () => {
    lost.abort(new Error('The server closed the listening connection'))
  })
  closing.addEventListener('abort', destroy, { once: true })
  return {
    async listen(onNotification) {
      client.on('notification', message => {
        if (message.channel === grantChannel) onNotification(message.payload)
      })
      await client.connect()
      await client.query(`listen ${grantChannel}`)
    },
    async readVersion() {
      const { rows } = await client.query<{ version: string; source: string }>(
        'select version, tableoid::text as source from rbac_version',
      )
      const [row] = rows
      if (!row) throw new Error('rbac_version is empty')
      return { version: Number(row.version), source: row.source }
    },
    lost: lost.signal,
    destroy,
  }
}
