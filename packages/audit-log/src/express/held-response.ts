import type { ServerResponse } from 'node:http'

/** What is asked before an answer is sent. */
export interface AnswerGate {
  /** Resolves with whether the answer may be sent; asked before its first byte and again before its last. */
  mayBeSent(isStreamed: boolean): Promise<boolean>
  /** What the answer becomes when it may not be sent. */
  readonly refusal: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
}

type Step = () => void
type Write = (...args: unknown[]) => boolean
type End = (...args: unknown[]) => ServerResponse

/**
 * Holds an answer back before its first byte until the gate opens.
 *
 * Whatever is written meanwhile is kept and sent afterwards in order, with the status and headers of the moment when it was
 * written; the writer is asked to wait as by a full buffer. Where the handler fixed the head itself with `writeHead`, an
 * answer that may not be sent is cut off, since its status is settled.
 */
export function holdResponse(response: ServerResponse, gate: AnswerGate): void {
  const write = response.write.bind(response) as Write
  const end = response.end.bind(response) as End
  const flushHeaders = response.flushHeaders.bind(response)
  let held: Step[] | undefined
  let state: 'new' | 'sending' | 'ended' | 'refused' = 'new'

  const hold = (step: Step, isStreamed: boolean): void => {
    if (held) {
      held.push(step)
      return
    }
    const steps = (held = [step])
    const restoreHead = headOf(response)
    const release = (): void => {
      held = undefined
      if (state === 'new') state = 'sending'
      restoreHead()
      for (const each of steps) each()
      if (state === 'sending' && !response.writableNeedDrain) response.emit('drain')
    }
    gate.mayBeSent(isStreamed).then(isAllowed => (isAllowed ? release() : refuse()), refuse)
  }

  const refuse = (): void => {
    held = undefined
    state = 'refused'
    if (response.headersSent) {
      response.destroy()
      return
    }
    for (const name of response.getHeaderNames()) response.removeHeader(name)
    for (const [name, value] of Object.entries(gate.refusal.headers)) response.setHeader(name, value)
    response.statusCode = gate.refusal.status
    response.statusMessage = ''
    end(gate.refusal.body)
  }

  const isOver = (): boolean => state === 'ended' || state === 'refused'

  response.write = function heldWrite(...args: unknown[]): boolean {
    if (state === 'refused' || (held && state === 'ended')) return true
    if (!held && state !== 'new') return write(...args)
    hold(() => {
      write(...args)
    }, true)
    return false
  }
  response.flushHeaders = function heldFlushHeaders(): void {
    if (isOver()) return
    if (!held && state !== 'new') flushHeaders()
    else hold(flushHeaders, true)
  }
  response.end = function heldEnd(...args: unknown[]): ServerResponse {
    // A second end, as of an error handler behind a handler that had answered, changes nothing.
    if (isOver()) return response
    const isStreamed = state === 'sending' || held !== undefined
    const holdLast = (): void => hold(() => end(...args), isStreamed)
    state = 'ended'
    if (held) held.push(holdLast)
    else holdLast()
    return response
  }
}

/** Keeps status and headers as they are now; returns the way back to them. */
function headOf(response: ServerResponse): () => void {
  const { statusCode, statusMessage } = response
  const headers = response.getHeaders()
  return () => {
    if (response.headersSent) return
    response.statusCode = statusCode
    response.statusMessage = statusMessage
    for (const name of response.getHeaderNames()) if (headers[name] === undefined) response.removeHeader(name)
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value)
  }
}
