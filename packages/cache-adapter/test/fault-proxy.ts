import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** How a connection is ended: in order, by reset, or not at all: it stays open and silent. */
export type Cut = 'fin' | 'rst' | 'stall'

/** A proxy in front of a real server that can do to its answers what networks do. */
export interface FaultProxy {
  /** Its address as host:port. */
  readonly server: string
  /** Connections accepted so far. */
  readonly accepted: number
  /** Holds every answer back until `heal`. */
  stall(): void
  /** Lets so many more bytes of answers through, then ends the connection. */
  cutAfter(bytes: number, how: Cut): void
  /** Hands answers out a few bytes at a time. */
  drip(bytes: number, everyMs: number): void
  /** Ends all connections now. */
  cut(how: 'fin' | 'rst'): void
  /** Changes the answers on their way. */
  corrupt(change: (answer: Buffer) => Buffer): void
  /** Lets everything through again; what was held back is lost with its connection. */
  heal(): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
}

type Deliver = (pair: Pair, answer: Buffer) => void

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const [host, port] = target.split(':')
  const pairs = new Set<Pair>()
  const timers = new Set<NodeJS.Timeout>()
  const passOn: Deliver = ({ client }, answer) => {
    if (!client.destroyed) client.write(answer)
  }
  let deliver = passOn
  let accepted = 0

  function end({ client, upstream }: Pair, how: Cut): void {
    if (how === 'stall') return
    if (how === 'rst') client.resetAndDestroy()
    else client.end()
    upstream.destroy()
  }

  const server = createServer(client => {
    accepted += 1
    const upstream = connect(Number(port), host)
    const pair = { client, upstream }
    pairs.add(pair)
    client.on('data', (request: Buffer) => upstream.write(request))
    upstream.on('data', (answer: Buffer) => {
      deliver(pair, answer)
    })
    const over = (): void => {
      pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', over)
    client.on('close', over)
    upstream.on('close', () => {
      if (deliver === passOn) over()
    })
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })

  return {
    server: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted
    },
    stall() {
      deliver = () => undefined
    },
    cutAfter(bytes, how) {
      let left = bytes
      deliver = (pair, answer) => {
        if (left < 0) {
          if (how !== 'stall') passOn(pair, answer)
          return
        }
        if (answer.length < left) {
          left -= answer.length
          passOn(pair, answer)
          return
        }
        const part = answer.subarray(0, left)
        left = -1
        if (part.length === 0) end(pair, how)
        else pair.client.write(part, () => setImmediate(end, pair, how))
      }
    },
    drip(bytes, everyMs) {
      deliver = ({ client }, answer) => {
        let offset = 0
        const timer = setInterval(() => {
          if (client.destroyed || offset >= answer.length) {
            clearInterval(timer)
            timers.delete(timer)
            return
          }
          client.write(answer.subarray(offset, (offset += bytes)))
        }, everyMs)
        timers.add(timer)
      }
    },
    cut(how) {
      for (const pair of pairs) end(pair, how)
    },
    corrupt(change) {
      deliver = (pair, answer) => {
        passOn(pair, change(answer))
      }
    },
    heal() {
      deliver = passOn
    },
    async close() {
      for (const timer of timers) clearInterval(timer)
      for (const { client, upstream } of pairs) {
        client.destroy()
        upstream.destroy()
      }
      await new Promise(resolve => server.close(resolve))
    },
  }
}
