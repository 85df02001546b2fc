import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'

/** Hands on what the frameworks without a place of their own for it tell on the channel; returns the end of it. */
export function watchFailures(report: (text: string) => void): () => void {
  const listener = (message: unknown): void => report(inspect(message, { depth: 5 }))
  subscribe('countersign.rbac-core.failure', listener)
  return () => unsubscribe('countersign.rbac-core.failure', listener)
}
