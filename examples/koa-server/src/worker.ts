import { beginAnnouncing } from './announcements.ts'
import { ConfigError } from './config.ts'
import { beginMaintenance } from './maintenance.ts'
import { runProcess } from './process.ts'

await runProcess({
  service: 'worker',
  async begin(system, resources) {
    if (system.config.amqpUrl === undefined)
      throw new ConfigError(['AMQP_URL: expected the broker that the worker shares with the server'])
    beginMaintenance(system, resources)
    await beginAnnouncing(system, resources)
    system.log.info('working')
  },
})
