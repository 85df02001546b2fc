import { beginAnnouncing } from './announcements.ts'
import { ConfigError } from './config.ts'
import { runProcess } from './process.ts'

await runProcess({
  service: 'worker',
  async begin(system, resources) {
    if (system.config.amqpUrl === undefined)
      throw new ConfigError(['AMQP_URL: expected the broker that the worker shares with the server'])
    await beginAnnouncing(system, resources)
    system.log.info('working')
  },
})
