import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { open, readFile, rm, type FileHandle } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import type { AuditRow } from '../audit-event.ts'
import { AuditOptionError } from '../errors.ts'
import { uuidv7 } from '../uuid.ts'

/** Where rows wait on the local disk while the database cannot be reached. */
export interface SpoolOptions {
  /** A folder of this process alone; what a former process left there is stored, too. */
  readonly directory: string
  /** Bytes that may wait; more is refused. @defaultValue `104_857_600` (100 MiB) */
  readonly maxBytes?: number | undefined
}

export interface Spool {
  /** Resolves when the row is flushed to the disk. */
  add(row: AuditRow): Promise<void>
  /** Hands the rows of the oldest segment to `store` and forgets them; returns how many there were. */
  replay(store: (rows: readonly AuditRow[]) => Promise<void>): Promise<number>
  close(): Promise<void>
}

interface Segment {
  readonly path: string
  bytes: number
}

interface Waiting {
  readonly line: string
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const segmentBytes = 4 * 1024 * 1024

/**
 * Keeps rows in segments, one JSON object a line, each begun after a failure or when the last is full or being replayed. A
 * segment is never written to once it is replayed, so that removing it can lose nothing.
 */
export function openSpool({ directory, maxBytes = 100 * 1024 * 1024 }: SpoolOptions): Spool {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const unlock = lock(resolvePath(directory, 'lock'))
  const segments = readdirSync(directory)
    .filter(name => name.endsWith('.ndjson'))
    .sort()
    .map((name): Segment => ({ path: join(directory, name), bytes: statSync(join(directory, name)).size }))
  let current: { readonly file: FileHandle; readonly segment: Segment } | undefined
  let waiting: Waiting[] = []
  let working: Promise<void> = Promise.resolve()

  /** What touches the current segment happens one after another. */
  function exclusively(work: () => Promise<void>): Promise<void> {
    const done = working.then(work)
    working = done.catch(() => undefined)
    return done
  }

  function add(row: AuditRow): Promise<void> {
    return new Promise((resolve, reject) => {
      waiting.push({ line: `${JSON.stringify(row)}\n`, resolve, reject })
      // Those that come while the disk is busy share the next flush.
      if (waiting.length === 1) exclusively(flush).catch(reject)
    })
  }

  async function flush(): Promise<void> {
    const taken = waiting
    waiting = []
    try {
      const bytes = Buffer.from(taken.map(({ line }) => line).join(''))
      const held = segments.reduce((sum, segment) => sum + segment.bytes, 0)
      if (held + bytes.length > maxBytes) throw new Error(`the spool holds ${held} of at most ${maxBytes} bytes`)
      const { file, segment } = (current ??= await begin())
      await file.appendFile(bytes)
      await file.datasync()
      segment.bytes += bytes.length
      if (segment.bytes >= segmentBytes) await end()
      for (const { resolve } of taken) resolve()
    } catch (error) {
      // The segment may end in half a line: nothing may be written after it.
      await end().catch(() => undefined)
      for (const { reject } of taken) reject(error as Error)
    }
  }

  async function begin(): Promise<NonNullable<typeof current>> {
    const path = join(directory, `${uuidv7()}.ndjson`)
    const file = await open(path, 'ax', 0o600)
    const segment = { path, bytes: 0 }
    segments.push(segment)
    // The name must survive a crash as well as the lines.
    const folder = await open(directory, 'r')
    await folder.sync().finally(() => folder.close())
    return { file, segment }
  }

  async function end(): Promise<void> {
    const file = current?.file
    current = undefined
    await file?.close()
  }

  async function replay(store: (rows: readonly AuditRow[]) => Promise<void>): Promise<number> {
    const [oldest] = segments
    if (!oldest) return 0
    await exclusively(async () => {
      if (current?.segment === oldest) await end()
    })
    const text = await readFile(oldest.path, 'utf8')
    // What follows the last newline was never acknowledged.
    const rows = text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as AuditRow)
    if (rows.length > 0) await store(rows)
    await rm(oldest.path)
    segments.shift()
    return rows.length
  }

  return {
    add,
    replay,
    async close() {
      await exclusively(end)
      unlock()
    },
  }
}

const lockedHere = new Set<string>()

/** Two users of one folder would remove each other's segments. */
function lock(path: string): () => void {
  if (lockedHere.has(path)) throw new AuditOptionError('spool.directory', 'a folder of one audit log')
  for (let attempt = 0; ; attempt++) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, String(process.pid))
      closeSync(file)
      lockedHere.add(path)
      return () => {
        lockedHere.delete(path)
        rmSync(path, { force: true })
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const holder = Number(readFileSync(path, 'utf8'))
      if (attempt > 0 || isAlive(holder)) {
        throw new AuditOptionError('spool.directory', `a folder of one process, and ${holder} uses ${path}`)
      }
      rmSync(path, { force: true })
    }
  }
}

/** A container gives its processes the same ids again: a lock of our own id is that of our predecessor. */
function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
