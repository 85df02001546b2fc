import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, startService, temporaryFolder } from './service.ts'

/** Starts PgBouncer in transaction mode before the database, with few server connections, so that they are shared. */
export async function startPgBouncer(databaseUrl: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const { hostname, port, username, password } = new URL(databaseUrl)
  const folder = await temporaryFolder('pgbouncer')
  const users = join(folder.path, 'users.txt')
  const config = join(folder.path, 'pgbouncer.ini')
  const listenPort = await freePort()
  await writeFile(users, `"${username}" "${decodeURIComponent(password)}"\n`)
  await writeFile(
    config,
    `[databases]
* = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 2
auth_type = trust
auth_file = ${users}
`,
  )
  // As root it asks for another user to run as, who must be able to read its files.
  await chmod(folder.path, 0o755)
  const asRoot = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const service = await startService('/usr/sbin/pgbouncer', [...asRoot, config], listenPort, 'SIGINT')
  const url = new URL(databaseUrl)
  url.port = String(listenPort)
  return {
    url: url.href,
    stop: async () => {
      await service.stop()
      await folder.remove()
    },
  }
}
