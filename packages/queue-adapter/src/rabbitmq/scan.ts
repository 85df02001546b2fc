import type { Channel, GetMessage } from 'amqplib'
import { setTimeout as sleep } from 'node:timers/promises'
import { QueueError } from '../errors.ts'
import type { Transport } from '../transport.ts'
import { exists, onChannel } from './declarer.ts'
import { endChannel } from './end-channel.ts'
import type { Link } from './link.ts'
import type { Publisher } from './publisher.ts'
import { messageOf } from './wire.ts'

const connectTimeoutMs = 10_000
const moveTimeoutMs = 10_000

/** Looks through a queue from its oldest message on. What is kept goes back when the channel ends. */
export async function scanQueue(
  { link, publisher }: { link: Link; publisher: Publisher },
  queue: string,
  limit: number,
  visit: Parameters<Transport['scan']>[2],
): Promise<number> {
  const connection = await link.connection(connectTimeoutMs)
  if (!(await exists(connection, queue)))
    throw new QueueError('UNKNOWN_TASK', `there is no queue ${queue} on the broker`)
  let shown = 0
  let kept = 0
  await onChannel(connection, async channel => {
    while (shown < limit) {
      const delivery = await channel.get(queue)
      if (!delivery) break
      shown += 1
      if (!(await settle(channel, delivery, publisher, visit))) kept += 1
    }
    await endChannel(channel, queue)
  })
  // What was kept comes back a moment after the channel's end: whoever looks next is to find it.
  for (let tries = 0; tries < 50 && kept > 0; tries += 1) {
    if (((await exists(connection, queue))?.messageCount ?? kept) >= kept) break
    await sleep(10)
  }
  return shown
}

async function settle(
  channel: Channel,
  delivery: GetMessage,
  publisher: Publisher,
  visit: Parameters<Transport['scan']>[2],
): Promise<boolean> {
  const verdict = await visit(messageOf(delivery))
  if (verdict.kind === 'move') await publisher.publish(verdict.message, moveTimeoutMs)
  if (verdict.kind !== 'move' && verdict.kind !== 'done') return false
  channel.ack(delivery)
  return true
}
