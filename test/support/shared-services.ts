import type { TestProject } from 'vitest/node'
import { startMemcached } from './memcached.ts'
import { startPostgres } from './postgres.ts'
import { startRabbitMq } from './rabbitmq.ts'
import type { Service } from './service.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
    memcachedServer: string
    amqpUrl: string
  }
}

const starters = {
  postgres: async () => {
    const service = await startPostgres()
    return { service, key: 'postgresUrl' as const, value: service.url }
  },
  memcached: async () => {
    const service = await startMemcached()
    return { service, key: 'memcachedServer' as const, value: `127.0.0.1:${service.port}` }
  },
  rabbitmq: async () => {
    const service = await startRabbitMq()
    return { service, key: 'amqpUrl' as const, value: service.url }
  },
}

interface Shared {
  service: Service
  key: 'postgresUrl' | 'memcachedServer' | 'amqpUrl'
  value: string
}
const running = new Map<keyof typeof starters, { started: Promise<Shared>; users: number }>()

/** A global set-up that starts the service once for all projects that name it and tells its address to their tests. */
export function sharedService(name: keyof typeof starters): (project: TestProject) => Promise<() => Promise<void>> {
  return async project => {
    const entry = running.get(name) ?? { started: starters[name](), users: 0 }
    running.set(name, entry)
    entry.users += 1
    const { service, key, value } = await entry.started
    project.provide(key, value)
    return async () => {
      entry.users -= 1
      if (entry.users > 0) return
      running.delete(name)
      await service.stop()
    }
  }
}
