import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installServers } from './support/debian.ts'

/** The parts of vitest's JSON report that are counted. */
interface Report {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { status: string; assertionResults: unknown[] }[]
}

const root = join(import.meta.dirname, '..')
const [, , ...args] = process.argv
const long = args.includes('--long')
const filters = args.filter(argument => argument !== '--long')

async function main(): Promise<number> {
  installServers()
  console.log('building the packages and the server')
  const built = await run('pnpm', ['run', 'build'])
  if (built !== 0) return built

  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'))
  const file = join(folder, 'report.json')
  try {
    const code = await run(
      'vitest',
      ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...filters],
      long ? { COUNTERSIGN_LONG: '1' } : {},
    )
    const counts = countTests(readReport(file), code)
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
    return counts.failed === 0 ? code : code || 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readReport(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch {
    return undefined
  }
}

/** A file that did not load, a service that did not start and an error outside any test count as failed. */
function countTests(report: Report | undefined, code: number): { passed: number; failed: number; skipped: number } {
  if (!report) return { passed: 0, failed: 1, skipped: 0 }
  const unloaded = report.testResults.filter(
    file => file.status === 'failed' && file.assertionResults.length === 0,
  ).length
  const failed = report.numFailedTests + unloaded
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

/** Runs a command in a process group of its own, so that Ctrl-C reaches it once: through us. */
function run(command: string, commandArgs: readonly string[], extra: NodeJS.ProcessEnv = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, commandArgs, {
      cwd: root,
      stdio: 'inherit',
      detached: true,
      env: { ...process.env, ...extra },
    })
    const forward = (signal: NodeJS.Signals): void => {
      child.kill(signal)
    }
    process.on('SIGINT', forward).on('SIGTERM', forward)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.off('SIGINT', forward).off('SIGTERM', forward)
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143))
    })
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
