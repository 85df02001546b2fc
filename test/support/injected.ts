import { inject } from 'vitest'
import type { RegisterServices } from './register.ts'

/** The services that the test run shares. */
export function sharedServices(): RegisterServices {
  return {
    postgresUrl: inject('postgresUrl'),
    memcachedServer: inject('memcachedServer'),
    amqpUrl: inject('amqpUrl'),
  }
}
