import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A TCP proxy that hurts connections the way networks do. */
export interface FaultProxy {
  /** The broker's URL with the proxy's address in it. */
  readonly url: string
  /** Ends all connections at once, without a goodbye. */
  cut(): void
  /** Lets this many more bytes through to the given side, then cuts the connection, in the middle of a frame if need be. */
  cutAfter(bytes: number, side?: 'toBroker' | 'toClient'): void
  /** Holds everything back, with the connections open. */
  stall(): void
  flow(): void
  /** Refuses new connections from now on, or takes them again. */
  refuse(refusing: boolean): void
  readonly connections: number
  close(): Promise<void>
}

export async function faultProxy(brokerUrl: string): Promise<FaultProxy> {
  const target = new URL(brokerUrl)
  const pairs = new Set<{ client: Socket; broker: Socket }>()
  const left = { toBroker: Infinity, toClient: Infinity }
  let stalled = false
  let refusing = false

  const cut = (): void => {
    for (const { client, broker } of pairs) {
      client.resetAndDestroy()
      broker.destroy()
    }
    pairs.clear()
  }
  const forward = (from: Socket, to: Socket, side: 'toBroker' | 'toClient'): void => {
    from.on('data', (chunk: Buffer) => {
      if (chunk.length < left[side]) {
        left[side] -= chunk.length
        to.write(chunk)
        return
      }
      const part = chunk.subarray(0, left[side])
      left[side] = Infinity
      to.write(part, cut)
    })
    from.on('close', () => to.destroy())
    from.on('error', () => to.destroy())
  }
  const server = createServer(client => {
    if (refusing) {
      client.resetAndDestroy()
      return
    }
    const broker = connect(Number(target.port), target.hostname)
    pairs.add({ client, broker })
    forward(client, broker, 'toBroker')
    forward(broker, client, 'toClient')
    if (stalled) pause({ client, broker })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(brokerUrl)
  url.port = String((server.address() as AddressInfo).port)

  return {
    url: url.href,
    cut,
    cutAfter: (bytes, side = 'toBroker') => {
      left[side] = bytes
    },
    stall: () => {
      stalled = true
      pairs.forEach(pause)
    },
    flow: () => {
      stalled = false
      for (const { client, broker } of pairs) {
        client.resume()
        broker.resume()
      }
    },
    refuse: value => {
      refusing = value
    },
    get connections() {
      return [...pairs].filter(({ client }) => !client.destroyed).length
    },
    close: async () => {
      cut()
      await new Promise<void>(resolve => {
        server.close(() => {
          resolve()
        })
      })
    },
  }
}

function pause({ client, broker }: { client: Socket; broker: Socket }): void {
  client.pause()
  broker.pause()
}
