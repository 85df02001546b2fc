import { parseArgs } from 'node:util'
import { deadLetters, type DeadLetters } from '../../dead.ts'
import { QueueError } from '../../errors.ts'
import { groupQueues, taskQueues, type QueueNames } from '../../names.ts'
import { checkName } from '../../task.ts'
import type { Transport } from '../../transport.ts'
import { describeTopology } from '../topology.ts'
import { rabbitmqTransport } from '../transport.ts'

const usage = `usage: countersign-queue <command> [--url amqp://…] [--prefix p] [--group g]

  depth <task>…                    what waits
  dead list <task> [--limit 20]    the oldest dead letters
  dead redrive <task> [--id i]…    back to work: all, or those with these ids
  topology <task>…                 the exchanges and queues, without asking a broker

The broker's URL is --url or AMQP_URL. With --group, the names are events and the group's subscription is meant.`

const options = {
  url: { type: 'string' },
  prefix: { type: 'string', default: '' },
  group: { type: 'string' },
  limit: { type: 'string', default: '20' },
  id: { type: 'string', multiple: true },
} as const

/** What a command needs of the world. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly print: (line: string) => void
}

/** Runs one command and gives the exit code: 0 done, 1 failed, 2 not understood. */
export async function runCommand(argv: readonly string[], { env, print }: Surroundings): Promise<number> {
  let parsed
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true })
  } catch (error) {
    print(error instanceof Error ? error.message : String(error))
    print(usage)
    return 2
  }
  const { values, positionals } = parsed
  const [command = '', ...rest] =
    positionals[0] === 'dead' ? [positionals.slice(0, 2).join(' '), ...positionals.slice(2)] : positionals
  if (!['depth', 'topology', 'dead list', 'dead redrive'].includes(command) || rest.length === 0) {
    print(usage)
    return 2
  }
  const { prefix, group } = values
  try {
    const named = rest.map(name => ({ name, queues: queuesOf(prefix, name, group) }))
    if (command === 'topology') {
      for (const line of describeTopology(named.flatMap(({ queues }) => queues.specs))) print(line)
      return 0
    }
    const transport = rabbitmqTransport({ url: values.url ?? env.AMQP_URL ?? '' })
    try {
      await transport.ready({ timeoutMs: 10_000 })
      for (const { name, queues } of named) {
        if (command === 'depth') await printDepth(transport, name, queues, print)
        else await onDead(command, deadOf(transport, queues), { limit: Number(values.limit), ids: values.id }, print)
      }
    } finally {
      await transport.close()
    }
    return 0
  } catch (error) {
    if (!QueueError.isInstance(error)) throw error
    print(`${error.code}: ${error.message}`)
    return 1
  }
}

function queuesOf(prefix: string, name: string, group: string | undefined): QueueNames {
  checkName('name', name)
  return group === undefined ? taskQueues(prefix, name) : groupQueues(prefix, name, checkName('group', group))
}

async function printDepth(
  transport: Transport,
  name: string,
  { work, dead }: QueueNames,
  print: (line: string) => void,
): Promise<void> {
  for (const queue of [...work.map(spec => spec.name), dead]) {
    const depth = await transport.depth(queue)
    if (!depth) throw new QueueError('UNKNOWN_TASK', `${name} has no queue ${queue} on this broker`)
    print(`${queue} ready=${depth.ready} consumers=${depth.consumers}`)
  }
}

/** Looks, and declares nothing: a misspelt name is not to become a queue. */
function deadOf(transport: Transport, queues: QueueNames): DeadLetters {
  return deadLetters(transport, queues, async () => undefined)
}

async function onDead(
  command: string,
  dead: DeadLetters,
  { limit, ids }: { limit: number; ids: readonly string[] | undefined },
  print: (line: string) => void,
): Promise<void> {
  if (command === 'dead redrive') {
    print(`redriven ${(await dead.redrive({ ids })).redriven}`)
    return
  }
  for (const letter of await dead.list({ limit }))
    print(JSON.stringify({ ...letter, at: new Date(letter.at).toISOString() }))
}
