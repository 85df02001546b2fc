export { transportSuite, type TransportSuiteOptions } from './transport-suite.ts'
export type { Message, OutgoingMessage } from '../message.ts'
export type { Consumer, Outcome, QueueSpec, Receive } from '../transport.ts'
