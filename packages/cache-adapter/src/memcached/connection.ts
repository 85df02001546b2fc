import { Server } from 'memjs'
import type { Socket } from 'node:net'
import type { Address } from './address.ts'
import { opcodes } from './request.ts'

export interface ConnectionOptions {
  /** Milliseconds from a request to the end of its answer, connecting included. */
  readonly timeoutMs: number
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Called once for each time the connection fails with requests under way. */
  readonly onFailure: (error: Error) => void
}

/** One answer of the server. */
export interface Reply {
  readonly opcode: number
  readonly status: number
  readonly key: string
  readonly value: Buffer
  readonly cas: Buffer
}

export interface ReplyHandler {
  /** Takes an answer, and tells whether it was the last one to this request. */
  reply(reply: Reply): boolean
  fail(error: Error): void
}

interface Request {
  readonly handler: ReplyHandler
  readonly startedAt: number
  readonly bytes: number
}

/** What memjs 1.3.2 keeps on a Server without declaring it; a test fails when it moves. */
interface Internals {
  _socket?: Socket | undefined
  responseBuffer: Buffer
  username: string | undefined
  password: string | undefined
}

const nothing = Buffer.alloc(0)
const headerBytes = 24
const authenticationFailed = 0x20
const maxOpaque = 2 ** 31 - 1
const maxBytesUnderWay = 64 * 1024 * 1024

/**
 * One connection to one memcached: memjs' own Server without what makes it lose, mix up or hang requests. All requests
 * fail together with their connection, none is ever sent twice, and each is settled by its deadline.
 */
export class Connection extends Server {
  readonly #timeoutMs: number
  readonly #onFailure: (error: Error) => void
  readonly #internals: Internals
  /** The requests under way by their number, oldest first. */
  readonly #requests = new Map<number, Request>()
  /** Numbers the requests. memjs counts on until the number is negative, and then fails for ever. */
  protected lastOpaque = 0
  #outbox: Buffer[] = []
  #bytesUnderWay = 0
  #timer: NodeJS.Timeout | undefined

  constructor(address: Address, options: ConnectionOptions) {
    // Longer than our own deadline, so that memjs' timer, which abandons its socket, never runs.
    super(address.host, address.port, undefined, undefined, { conntimeout: (2 * options.timeoutMs) / 1000 + 1 })
    this.#timeoutMs = options.timeoutMs
    this.#onFailure = options.onFailure
    this.#internals = this
    // memjs falls back on environment variables of another product.
    this.#internals.username = options.username
    this.#internals.password = options.password
  }

  /** Sends a request; exactly one of the last `reply` and `fail` reaches the handler. */
  request(makeFrame: (opaque: number) => Buffer, handler: ReplyHandler): void {
    const opaque = (this.lastOpaque = this.lastOpaque >= maxOpaque ? 1 : this.lastOpaque + 1)
    const frame = makeFrame(opaque)
    if (this.#bytesUnderWay + frame.length > maxBytesUnderWay) {
      handler.fail(new Error(`more than ${maxBytesUnderWay} bytes are under way`))
      return
    }
    this.#bytesUnderWay += frame.length
    this.#requests.set(opaque, { handler, startedAt: performance.now(), bytes: frame.length })
    this.#timer ??= setTimeout(this.#checkDeadline, this.#timeoutMs)
    this.write(frame)
  }

  /** Takes what arrived: whole answers are handed on, the start of one is kept until the rest of it is here. */
  override responseHandler(chunk: Buffer): void {
    const kept = this.#internals.responseBuffer
    const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk])
    let offset = 0
    while (bytes.length - offset >= headerBytes) {
      if (bytes[offset] !== 0x81) {
        this.error(new Error('what arrived is no answer'))
        return
      }
      const end = offset + headerBytes + bytes.readUInt32BE(offset + 8)
      if (end > bytes.length) break
      this.#answer(bytes, offset, end)
      // The answer may have ended the connection.
      if (!this.#internals._socket) return
      offset = end
    }
    this.#internals.responseBuffer = offset === bytes.length ? nothing : bytes.subarray(offset)
  }

  #answer(bytes: Buffer, offset: number, end: number): void {
    const opcode = bytes[offset + 1]!
    const status = bytes.readUInt16BE(offset + 6)
    if (status === authenticationFailed) this.error(new Error('the server refused the credentials'))
    else if (opcode === opcodes.listMechanisms) this.saslAuth()
    else if (opcode === opcodes.authenticate) this.emit('authenticated')
    else {
      const opaque = bytes.readUInt32BE(offset + 12)
      const keyAt = offset + headerBytes + bytes[offset + 4]!
      const valueAt = keyAt + bytes.readUInt16BE(offset + 2)
      const key = valueAt > keyAt ? bytes.toString('latin1', keyAt, valueAt) : ''
      const cas = bytes.subarray(offset + 16, offset + headerBytes)
      const request = this.#requests.get(opaque)
      if (!request?.handler.reply({ opcode, status, key, value: bytes.subarray(valueAt, end), cas })) return
      this.#requests.delete(opaque)
      this.#bytesUnderWay -= request.bytes
    }
  }

  /** Gathers what is written in one turn of the event loop and hands it to the socket together. */
  override write(frame: Buffer): void {
    if (this.#outbox.push(frame) === 1) process.nextTick(this.#flush)
  }

  override sock(sasl: boolean, go: (socket: Socket) => void): void {
    const before = this.#internals._socket
    if (!before) {
      this.removeAllListeners('authenticated')
      this.#internals.responseBuffer = nothing
    }
    super.sock(sasl, go)
    const socket = this.#internals._socket
    if (!before && socket) this.#harden(socket)
  }

  /** Ends the connection and fails every request on it. */
  override error(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    this.#bytesUnderWay = 0
    this.#outbox = []
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#internals.responseBuffer = nothing
    super.error(error)
    if (requests.length > 0) this.#onFailure(error)
    for (const { handler } of requests) handler.fail(error)
  }

  /** memjs' listeners act on whatever socket is current and forget the requests when the server closes. */
  #harden(socket: Socket): void {
    socket.setNoDelay(true)
    socket.removeAllListeners('error')
    socket.removeAllListeners('close')
    socket.on('error', error => {
      if (this.#internals._socket === socket) this.error(error)
    })
    socket.on('close', () => {
      if (this.#internals._socket === socket) this.error(new Error('the server closed the connection'))
    })
  }

  readonly #flush = (): void => {
    const frames = this.#outbox
    this.#outbox = []
    const [first] = frames
    if (!first) return
    const blob = frames.length === 1 ? first : Buffer.concat(frames)
    this.sock(false, socket => {
      socket.write(blob)
    })
  }

  readonly #checkDeadline = (): void => {
    // What has arrived while the event loop was busy is read before anybody is called late.
    setImmediate(() => {
      clearTimeout(this.#timer)
      this.#timer = undefined
      const [oldest] = this.#requests.values()
      if (!oldest) return
      const waitedMs = performance.now() - oldest.startedAt
      if (waitedMs >= this.#timeoutMs) this.error(new Error(`no answer within ${this.#timeoutMs} ms`))
      else this.#timer = setTimeout(this.#checkDeadline, this.#timeoutMs - waitedMs)
    })
  }
}
