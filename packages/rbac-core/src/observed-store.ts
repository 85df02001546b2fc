import { loads, type FreshnessState, type LoadEvent } from './authorizer-events.ts'
import { within } from './deadline.ts'
import { GrantStoreUnavailableError } from './errors.ts'
import type { GrantStore } from './grant-store.ts'

/**
 * Puts a deadline on every load, tells the channel and the state how it went, and turns each failure into
 * `GRANT_STORE_UNAVAILABLE` with its cause.
 */
export function observedStore(store: GrantStore, loadMs: number, state: FreshnessState): GrantStore {
  async function observe<Value>(
    load: () => Promise<Value>,
    about: (value?: Value) => Partial<LoadEvent>,
  ): Promise<Value> {
    const start = performance.now()
    const publish = (event: Partial<LoadEvent>): void => {
      if (loads.hasSubscribers) loads.publish({ source: 'store', durationMs: performance.now() - start, ...event })
    }
    try {
      const value = await within(loadMs, load())
      state.storeIs(true)
      publish(about(value))
      return value
    } catch (cause) {
      state.storeIs(false, cause)
      publish({ ...about(), error: cause })
      throw new GrantStoreUnavailableError('The store of roles and assignments did not answer', { cause })
    }
  }

  return {
    loadPolicy: () =>
      observe(
        () => store.loadPolicy(),
        policy => ({ of: 'policy', version: policy?.version }),
      ),
    loadSubject: subjectId =>
      observe(
        () => store.loadSubject(subjectId),
        subject => ({ of: 'subject', subjectId, version: subject?.version }),
      ),
    ...(store.loadHolders && {
      loadHolders: (permissions, options) =>
        observe(
          async () => store.loadHolders?.(permissions, options) ?? [],
          () => ({ of: 'holders' }),
        ),
    }),
    loadVersion: () =>
      observe(
        () => store.loadVersion(),
        version => ({ of: 'version', version }),
      ),
  }
}
