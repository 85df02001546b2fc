import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { Server as NetServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface HttpServer {
  readonly port: number
  readonly draining: boolean
  /**
   * Takes no new connection, answers every request of the open ones and tells their clients to close them; resolves
   * when they are gone, at the latest after `graceMs` milliseconds.
   */
  drain(graceMs: number): Promise<void>
}

/** Listens with limits on the time that a client may take. */
export async function listen(handler: RequestListener, host: string, port: number): Promise<HttpServer> {
  let draining = false
  const answering = new Set<ServerResponse>()
  const server = createServer({
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    // Longer than a proxy keeps its idle connections: the side that sends requests must be the one that closes.
    keepAliveTimeout: 72_000,
  })
  server.on('request', (_request, response: ServerResponse) => {
    if (draining) response.setHeader('Connection', 'close')
    answering.add(response)
    response.once('close', () => answering.delete(response))
  })
  server.on('request', handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })

  return {
    port: (server.address() as AddressInfo).port,
    get draining() {
      return draining
    },
    async drain(graceMs) {
      draining = true
      for (const response of answering) if (!response.headersSent) response.setHeader('Connection', 'close')
      // setImmediate runs just after the event loop has accepted what was waiting: a connection that is still in the
      // queue when the socket closes would be reset.
      await new Promise(resolve => setImmediate(resolve))
      // http's own close() also ends idle connections, on which a proxy may be sending a request at this moment.
      const closed = new Promise<void>(resolve => {
        NetServer.prototype.close.call(server, () => {
          resolve()
        })
      })
      await Promise.race([closed, sleep(graceMs, undefined, { ref: false })])
      server.closeIdleConnections()
      await Promise.race([closed, sleep(30_000, undefined, { ref: false })])
      server.closeAllConnections()
      await closed
    },
  }
}
