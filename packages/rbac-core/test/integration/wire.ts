import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A network cable between a client and PostgreSQL that a test can unplug and plug in again. */
export interface Wire {
  /** The database's URL by way of this wire. */
  readonly url: string
  /** From now on nothing comes through in either direction, and neither end is told. */
  unplug(): void
  plugIn(): void
  close(): Promise<void>
}

export async function wireTo(databaseUrl: string): Promise<Wire> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let unplugged = false
  const server = createServer(near => {
    const far = connect(Number(target.port), target.hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      if (unplugged) from.pause()
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(databaseUrl)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    unplug: () => {
      unplugged = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    plugIn: () => {
      unplugged = false
      // What was on the way is lost for good, as with a real outage of some length.
      for (const socket of sockets) socket.destroy()
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => {
        server.close(() => {
          resolve()
        })
      })
    },
  }
}
