/**
 * Carries the context of a request (trace, correlation, actor) into the handler of the task it starts. What `capture` gives
 * travels in the message's headers, and the handler runs inside `run`.
 */
export interface ContextCarrier {
  /** Returns the running context as text by name; it travels in the headers of the message. */
  capture(): Readonly<Record<string, string>>
  /** Runs `work` in the context that `headers` hold, and returns what it returns. */
  run<T>(headers: Readonly<Record<string, string>>, work: () => T): T
}

export const noCarrier: ContextCarrier = { capture: () => ({}), run: (_headers, work) => work() }
