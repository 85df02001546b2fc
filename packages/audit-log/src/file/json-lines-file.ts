import { open, rename, truncate, type FileHandle } from 'node:fs/promises'
import type { AuditRow } from '../audit-event.ts'
import { AuditOptionError } from '../errors.ts'
import type { AuditSink } from '../storage/audit-sink.ts'

/** Options of `jsonLinesFile`. */
export interface JsonLinesFileOptions {
  /** The file that is written to; its full predecessors lie beside it under the name with the time they were closed. */
  readonly path: string
  /** @defaultValue the path */
  readonly name?: string | undefined
  /** Bytes after which a new file is begun. @defaultValue `104_857_600` (100 MiB) */
  readonly maxBytes?: number | undefined
  /** Milliseconds after which a new file is begun. @defaultValue `86_400_000` (a day) */
  readonly maxAgeMs?: number | undefined
  /** Whether rows are flushed to the disk before they count as written. @defaultValue `true` */
  readonly fsync?: boolean | undefined
}

/**
 * Copies rows to a file, one JSON object a line.
 *
 * @param options - Where, and when a new file is begun.
 * @returns The sink for `createAuditLog`.
 * @throws `AUDIT_OPTION_INVALID` for limits that are not positive.
 * @example
 * ```ts
 * import { jsonLinesFile } from '@countersign/audit-log/file'
 *
 * export const sinks = [jsonLinesFile({ path: '/var/log/app/audit.ndjson', maxBytes: 50_000_000 })]
 * ```
 */
export function jsonLinesFile(options: JsonLinesFileOptions): AuditSink {
  const { path, name = path, maxBytes = 100 * 1024 * 1024, maxAgeMs = 86_400_000, fsync = true } = options
  if (!(maxBytes > 0)) throw new AuditOptionError('maxBytes', 'a positive number of bytes')
  if (!(maxAgeMs > 0)) throw new AuditOptionError('maxAgeMs', 'a positive number of milliseconds')
  let current: { file: FileHandle; bytes: number; since: number } | undefined

  async function write(rows: readonly AuditRow[]): Promise<void> {
    if (current && (current.bytes >= maxBytes || Date.now() - current.since >= maxAgeMs)) await rotate()
    current ??= await reopen(path)
    const lines = Buffer.from(rows.map(row => `${JSON.stringify(row)}\n`).join(''))
    const { file } = current
    try {
      await file.appendFile(lines)
      if (fsync) await file.datasync()
    } catch (error) {
      // Half a line may stand there now: opening it again takes that away.
      await close()
      throw error
    }
    current.bytes += lines.length
  }

  async function rotate(): Promise<void> {
    await close()
    await rename(path, `${path}.${new Date().toISOString().replaceAll(':', '-')}`)
  }

  async function close(): Promise<void> {
    const file = current?.file
    current = undefined
    await file?.close()
  }

  return { name, write, close }
}

/** Opens the file at its last whole line: a crash may have left a part of one, and its row comes again. */
async function reopen(path: string): Promise<{ file: FileHandle; bytes: number; since: number }> {
  const file = await open(path, 'a+', 0o640)
  try {
    const { size, birthtimeMs } = await file.stat()
    const bytes = await endOfLastLine(file, size)
    if (bytes < size) await truncate(path, bytes)
    return { file, bytes, since: bytes === 0 ? Date.now() : birthtimeMs }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function endOfLastLine(file: FileHandle, size: number): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024)
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - chunk.length)
    const { bytesRead } = await file.read(chunk, 0, end - start, start)
    const newline = chunk.subarray(0, bytesRead).lastIndexOf(10)
    if (newline >= 0) return start + newline + 1
    end = start
  }
  return 0
}
