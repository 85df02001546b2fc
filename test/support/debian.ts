import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** What the tests start, where its program is, and the Debian package that brings it. */
const needed = [
  { program: '/usr/bin/memcached', package: 'memcached' },
  { program: '/usr/lib/rabbitmq/bin/rabbitmq-server', package: 'rabbitmq-server' },
  { program: '/usr/sbin/nginx', package: 'nginx' },
  { program: '/usr/sbin/pgbouncer', package: 'pgbouncer' },
  { program: '/usr/bin/openssl', package: 'openssl' },
  { program: '/usr/bin/chromium', package: 'chromium' },
]

/**
 * Installs the servers that the tests talk to, where that is possible: as root with apt-get.
 *
 * @throws an Error of one line that says what to install, anywhere else.
 */
export function installServers(): void {
  const missing = needed.filter(({ program }) => !existsSync(program)).map(entry => entry.package)
  if (missing.length === 0) return
  const list = missing.join(' ')
  if (process.getuid?.() !== 0 || !hasApt()) {
    throw new Error(`These servers are missing: ${list}. On Debian or Ubuntu run: sudo apt-get install ${list}`)
  }
  console.log(`installing ${list}`)
  // RUNLEVEL=1 keeps the packages from starting a server of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  execFileSync('apt-get', ['update', '-qq'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

function hasApt(): boolean {
  return spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0
}
