export { createOutbox, type Outbox, type OutboxOptions } from './outbox.ts'
export type { Relay, RelayOptions } from './relay.ts'
export type { PgTransaction, Transaction } from './transaction.ts'
export { migrations } from './migrations.ts'
