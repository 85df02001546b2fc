import { spawnTied } from 'koa-server/child-process'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, portAnswers, serviceOf, stopChild, temporaryFolder, type Service } from './service.ts'

const run = promisify(execFile)
const programs = '/usr/lib/rabbitmq/bin'

export interface RabbitMq extends Service {
  readonly url: string
  /** Runs rabbitmqctl against this broker. */
  ctl(...args: string[]): Promise<string>
  /** Makes a virtual host of its own, so that test files do not see each other's queues, and returns its URL. */
  virtualHost(): Promise<string>
  /** Starts the same broker again on the same data after `stop` or `kill`. */
  restart(): Promise<void>
}

/** Starts RabbitMQ with its own data folder, ports and name server. */
export async function startRabbitMq(): Promise<RabbitMq> {
  if (!existsSync(programs)) throw new Error('RabbitMQ is missing: apt-get install rabbitmq-server')
  const folder = await temporaryFolder('rabbitmq')
  const port = await freePort()
  const distributionPort = await freePort()
  const epmdPort = await freePort()
  const name = `countersign${randomBytes(4).toString('hex')}@localhost`
  const config = join(folder.path, 'rabbitmq.conf')
  await writeFile(
    config,
    `listeners.tcp.1 = 127.0.0.1:${port}\nloopback_users = none\nvm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n`,
  )
  await writeFile(join(folder.path, 'enabled_plugins'), '[].\n')
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: folder.path,
    LANG: 'C.UTF-8',
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: name,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_CONFIG_FILE: config,
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder.path, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder.path, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder.path, 'log'),
    // The start script then becomes the server itself, so that a signal reaches it.
    RUNNING_UNDER_SYSTEMD: '1',
    RABBITMQ_PID_FILE: join(folder.path, 'pid'),
    RABBITMQ_CONF_ENV_FILE: join(folder.path, 'none.conf'),
    // Two schedulers and no busy waiting: many brokers share two cores in the tests.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
  }
  const epmd = spawnTied('epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], {
    cwd: folder.path,
    env,
    stdio: 'ignore',
  })
  await portAnswers(epmdPort)

  const boot = async (): Promise<Service> => {
    const child = spawnTied(join(programs, 'rabbitmq-server'), [], {
      cwd: folder.path,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4000)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    await portAnswers(port, 60_000).catch((cause: unknown) => {
      throw new Error(`RabbitMQ did not start: ${output}`, { cause })
    })
    while (!output.includes('completed with')) {
      if (child.exitCode !== null) throw new Error(`RabbitMQ ended while starting: ${output}`)
      await sleep(50)
    }
    return serviceOf(child, port)
  }
  const ctl = async (...args: string[]): Promise<string> => {
    const { stdout } = await run(join(programs, 'rabbitmqctl'), ['--quiet', '-n', name, ...args], { env })
    return stdout
  }

  let service = await boot()
  const url = `amqp://guest:guest@127.0.0.1:${port}`
  return {
    url,
    port,
    get pid() {
      return service.pid
    },
    kill: () => service.kill(),
    pause: () => {
      service.pause()
    },
    resume: () => {
      service.resume()
    },
    ctl,
    virtualHost: async () => {
      const host = `v${randomBytes(6).toString('hex')}`
      await ctl('add_vhost', host)
      await ctl('set_permissions', '-p', host, 'guest', '.*', '.*', '.*')
      return `${url}/${host}`
    },
    restart: async () => {
      service = await boot()
    },
    stop: async () => {
      await service.stop()
      await stopChild(epmd)
      await folder.remove()
    },
  }
}
