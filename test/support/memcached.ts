import { freePort, startService, type Service } from './service.ts'

/** Starts memcached on a free port, or on the port of one that was stopped before. */
export async function startMemcached(options: { port?: number; memoryMb?: number } = {}): Promise<Service> {
  const port = options.port ?? (await freePort())
  const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : []
  return startService(
    'memcached',
    ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-m', String(options.memoryMb ?? 64), ...asRoot],
    port,
  )
}
