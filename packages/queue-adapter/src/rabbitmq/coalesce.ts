import type { ChannelModel } from 'amqplib'

interface Corkable {
  cork(): void
  uncork(): void
}

const held = new WeakSet<Corkable>()

/**
 * Holds what is written in this turn of the event loop and sends it in one piece. amqplib makes a system call of each
 * message, one turn later; its stream is no part of its interface, and without it nothing is held.
 */
export function coalesce(connection: ChannelModel): void {
  const { stream } = connection.connection as { stream?: Partial<Corkable> }
  if (!isCorkable(stream) || held.has(stream)) return
  held.add(stream)
  stream.cork()
  setImmediate(() =>
    setImmediate(() => {
      held.delete(stream)
      stream.uncork()
    }),
  )
}

function isCorkable(stream: Partial<Corkable> | undefined): stream is Corkable {
  return typeof stream?.cork === 'function' && typeof stream.uncork === 'function'
}
