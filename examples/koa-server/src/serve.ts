import { beginAnnouncing } from './announcements.ts'
import { createApp } from './app.ts'
import { ConfigError, type Config } from './config.ts'
import { listen, type HttpServer } from './http-server.ts'
import { beginMaintenance } from './maintenance.ts'
import { runProcess } from './process.ts'
import type { System } from './system.ts'

export interface ServeOptions {
  readonly onProgress?: (step: string) => void
  readonly onListening?: (system: System, address: string) => void
}

/** Runs the HTTP server until it is told to stop. */
export function serve({ onProgress, onListening }: ServeOptions = {}): Promise<void> {
  return runProcess({
    service: 'register',
    ...(onProgress && { onProgress }),
    async begin(system, resources) {
      if (system.config.runWorker) {
        beginMaintenance(system, resources)
        await beginAnnouncing(system, resources)
      }
      const handle = createApp(system).callback()
      const server = await listenAsConfigured(system.config, (request, response) => {
        // Koa answers errors by itself; its promise only tells when it is done.
        handle(request, response).catch((error: unknown) => {
          system.log.error({ err: error }, 'the answer was not sent')
        })
      })
      resources.defer(async () => {
        system.lifecycle.draining = true
        await server.drain(system.config.drainMs)
      })
      system.log.info({ port: server.port }, 'listening')
      onListening?.(system, `http://${system.config.host}:${server.port}`)
    },
  })
}

async function listenAsConfigured(config: Config, handler: Parameters<typeof listen>[0]): Promise<HttpServer> {
  try {
    return await listen(handler, config.host, config.port ?? 3000)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    if (config.port !== undefined)
      throw new ConfigError([`PORT: expected a port that is free; ${config.port} is in use`])
    return listen(handler, config.host, 0)
  }
}
