/** Three classes; a worker starts higher ones first. */
export type Priority = 'low' | 'normal' | 'high'

export const priorities: readonly Priority[] = ['high', 'normal', 'low']

/** Text values under lower-case names: what crosses every transport unchanged. */
export type MessageHeaders = Readonly<Record<string, string>>

/** Why a message is in a dead queue. */
export interface Failure {
  /** `failed`: every attempt failed. `invalid`: the payload fails its schema. `undecodable`: it is not JSON. `crash-loop`: workers died with it. */
  readonly reason: 'failed' | 'invalid' | 'undecodable' | 'crash-loop'
  readonly errorType: string
  readonly errorMessage: string
  /** A fingerprint of the stack: equal for failures at the same place. */
  readonly stackDigest: string
  readonly attempts: number
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What a transport carries: bytes and what is needed to route, retry and explain them. */
export interface Message {
  readonly id: string
  /** The name of the task or event. */
  readonly type: string
  readonly body: Uint8Array
  readonly headers: MessageHeaders
  /** Counted from 1. */
  readonly attempt: number
  /** The queue a dead message came from. */
  readonly source?: string | undefined
  readonly failure?: Failure | undefined
}

/** A message on its way into a queue, or to every queue bound to a topic. */
export interface OutgoingMessage extends Message {
  readonly to: { readonly queue: string } | { readonly topic: string }
  /** Milliseconds since 1970 before which it is not handed out. */
  readonly notBefore?: number | undefined
}
