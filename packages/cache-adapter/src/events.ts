import { channel } from 'node:diagnostics_channel'

/** What the diagnostics channels `countersign.cache-adapter.<event>` carry. */
export interface CacheEvents {
  /** A value was served from the cache. */
  hit: { namespace: string; key: string }
  /** Nothing usable was stored. */
  miss: { namespace: string; key: string }
  /** A value past its freshness was served within its grace. */
  stale: { namespace: string; key: string }
  /** A loader settled; `error` when it failed. */
  load: { namespace: string; key: string; durationMs: number; error?: unknown }
  /** Somebody else is loading the value, and this process waits for it. */
  'lease-wait': { namespace: string; key: string }
  /** A value was not stored: too large, loaded too slowly, overtaken by an invalidation, or not what its schema says. */
  refused: { namespace: string; key: string; reason: 'too-large' | 'too-slow' | 'overtaken' | 'schema' }
  /** The store failed at something, and the cache went on without it. */
  error: { namespace: string; key: string; operation: 'get' | 'set' | 'delete' | 'load' | 'touch'; error: unknown }
  /** A server's breaker changed its state. */
  breaker: { server: string; state: 'closed' | 'open' | 'probing' }
}

const names = ['hit', 'miss', 'stale', 'load', 'lease-wait', 'refused', 'error', 'breaker'] as const
const channels = Object.fromEntries(names.map(name => [name, channel(`countersign.cache-adapter.${name}`)])) as Record<
  keyof CacheEvents,
  ReturnType<typeof channel>
>

/** Publishes an event; with nobody listening, the message is not even made. */
export function publish<E extends keyof CacheEvents>(event: E, message: () => CacheEvents[E]): void {
  const target = channels[event]
  if (target.hasSubscribers) target.publish(message())
}
