import type { Priority } from './message.ts'
import type { QueueSpec } from './transport.ts'

/** The queues behind one task, or behind one group's subscription to an event. */
export interface QueueNames {
  /** Highest rank first. */
  readonly work: readonly QueueSpec[]
  readonly dead: string
  readonly specs: readonly QueueSpec[]
}

export function taskQueue(prefix: string, task: string, priority: Priority): string {
  return `${prefix}${task}.${priority}`
}

export function taskDeadQueue(prefix: string, task: string): string {
  return `${prefix}${task}.dead`
}

export function taskQueues(prefix: string, task: string): QueueNames {
  const dead = taskDeadQueue(prefix, task)
  const names = (['high', 'normal', 'low'] as const).map(priority => taskQueue(prefix, task, priority))
  return queuesOf(names, dead, undefined)
}

export function groupQueues(prefix: string, event: string, group: string): QueueNames {
  const queue = `${prefix}${event}@${group}`
  return queuesOf([queue], `${queue}.dead`, topicOf(prefix, event))
}

export function topicOf(prefix: string, event: string): string {
  return prefix + event
}

function queuesOf(names: readonly string[], dead: string, topic: string | undefined): QueueNames {
  const work = names.map(name => ({ name, kind: 'work' as const, deadQueue: dead, topic }))
  return { work, dead, specs: [{ name: dead, kind: 'dead' }, ...work] }
}
