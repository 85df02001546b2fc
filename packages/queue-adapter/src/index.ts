export { createQueue, type Queue, type QueueDepth, type QueueOptions, type SubscribeOptions } from './queue.ts'
export { defineEvent, defineTask, type DefinitionOptions, type Task, type TopicEvent } from './task.ts'
export { backoff, type BackoffOptions, type RetryPolicy } from './retry.ts'
export type { Handler, HandlerContext, WorkOptions, Worker } from './worker.ts'
export type { DeadLetter, DeadLetters, DeadSelection } from './dead.ts'
export type { EmitOptions, EnqueueOptions, PreparedMessage } from './prepare.ts'
export type { ContextCarrier } from './carrier.ts'
export type { Schema, SchemaIssue } from './schema.ts'
export type { Failure, MessageHeaders, Priority } from './message.ts'
export type { PublishOptions, Transport, TransportState } from './transport.ts'
export {
  InvalidPayloadError,
  PublishUnknownError,
  QueueError,
  TopologyMismatchError,
  type QueueErrorCode,
} from './errors.ts'
