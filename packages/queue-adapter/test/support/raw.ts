import { connect, type Channel, type ConfirmChannel } from 'amqplib'

/** Runs work on a plain channel of amqplib: the operator's hand, or the naive program a test compares with. */
export async function withChannel<T>(url: string, work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await connect(url, { noDelay: true })
  connection.on('error', () => undefined)
  const channel = await connection.createConfirmChannel()
  channel.on('error', () => undefined)
  try {
    return await work(channel)
  } finally {
    await connection.close().catch(() => undefined)
  }
}

export async function messageCount(channel: Channel, queue: string): Promise<number> {
  return (await channel.checkQueue(queue)).messageCount
}
