import { channel } from 'node:diagnostics_channel'
import pg from 'pg'
import { InvalidDefinitionError } from '../errors.ts'
import type { GrantChangeListener, GrantChanges } from '../grant-store.ts'
import { backoffMs, pause } from './backoff.ts'
import { openConnection, type ConnectionConfig } from './connection.ts'
import { followVersions } from './followed-version.ts'

/**
 * Where the feed connects to. The address must not lead through PgBouncer's transaction pooling, which takes LISTEN's
 * session away.
 */
export interface PostgresChangesOptions {
  readonly connectionString?: string | undefined
  /**
   * Settings of `pg.Client`, in place of or beside the connection string. Where the tables are in a schema that is not on
   * the role's search path, put it there: `{ options: '-c search_path=app' }`.
   */
  readonly connection?: Omit<pg.ClientConfig, 'stream'> | undefined
  /**
   * How often the version is read to find a notification that never came, and a connection that died silently, in
   * milliseconds. @defaultValue `5000`
   */
  readonly pollMs?: number | undefined
}

const errors = channel('countersign.rbac-core.changes.error')

/**
 * Listens to committed changes of roles and assignments on a PostgreSQL connection of its own.
 *
 * It reconnects for as long as it takes, also when the first attempt fails, and compares versions after each connect and
 * every `pollMs`, so that a missed change becomes an `onGap`. Errors of the connection are published, as `{ error }`, on
 * the diagnostics channel `countersign.rbac-core.changes.error`.
 *
 * @example
 * ```ts
 * import { createAuthorizer, definePermissions } from '@countersign/rbac-core'
 * import { objectionGrantStore } from '@countersign/rbac-core/objection'
 * import { postgresChanges } from '@countersign/rbac-core/postgres'
 * import knexOf from 'knex'
 *
 * const connectionString = process.env.DATABASE_URL ?? ''
 * const store = objectionGrantStore({ knex: knexOf({ client: 'pg', connection: connectionString }) })
 * const permissions = definePermissions({ document: ['read'] })
 * const changes = postgresChanges({ connectionString })
 * const authorizer = createAuthorizer({ permissions, store, changes, maxStalenessMs: 30_000 })
 * ```
 */
export function postgresChanges(options: PostgresChangesOptions): GrantChanges {
  const pollMs = options.pollMs ?? 5000
  if (!(pollMs > 0 && pollMs <= longestTimerMs)) {
    throw new InvalidDefinitionError('pollMs', `expected milliseconds from 1 to ${longestTimerMs}`)
  }
  const { connectionString } = options
  const config: ConnectionConfig = {
    ...(connectionString !== undefined && { connectionString }),
    ...options.connection,
  }
  // Reads the settings and throws if it cannot; a client has no socket before it connects.
  new pg.Client(config)
  return {
    // Resolves when the first attempt to connect has ended, well or badly.
    async subscribe(listener) {
      const closing = new AbortController()
      let ended = Promise.resolve()
      await new Promise<void>(firstAttemptEnded => {
        const onState = distinctStates(state => {
          listener.onState(state)
          firstAttemptEnded()
        })
        ended = keepListening(config, pollMs, listener, onState, closing.signal)
      })
      return {
        async close() {
          closing.abort()
          await ended
        },
      }
    },
  }
}

const longestTimerMs = 2 ** 31 - 1

async function keepListening(
  config: ConnectionConfig,
  pollMs: number,
  listener: GrantChangeListener,
  onState: OnState,
  closing: AbortSignal,
): Promise<void> {
  const versions = followVersions(listener)
  let failures = 0
  while (!closing.aborted) {
    const connection = openConnection(config, closing)
    try {
      await connection.listen(payload => {
        versions.onNotification(payload)
      })
      do {
        versions.onRead(await connection.readVersion())
        failures = 0
        onState('connected')
      } while (await pause(pollMs, connection.lost))
      throw connection.lost.reason
    } catch (error) {
      if (closing.aborted) return
      errors.publish({ error })
    } finally {
      connection.destroy()
    }
    onState('disconnected')
    await pause(backoffMs(failures), closing)
    failures += 1
  }
}

type OnState = (state: 'connected' | 'disconnected') => void

function distinctStates(onState: OnState): OnState {
  let last: 'connected' | 'disconnected' | undefined
  return state => {
    if (state === last) return
    last = state
    onState(state)
  }
}
