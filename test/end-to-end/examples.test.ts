import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { spawnTied } from '../support/service.ts'
import { root } from '../repository/workspace.ts'

/** A request as the README of an example writes it, and the status that it promises. */
interface Promised {
  readonly path: string
  readonly method: string
  readonly headers: Record<string, string>
  readonly status: number
}

describe.each(['express', 'fastify', 'hono', 'koa', 'nest'])('examples/%s-documents', framework => {
  const folder = join(root, 'examples', `${framework}-documents`)

  test('starts as its manifest says and answers as its README says', async () => {
    const { url, output } = await start(folder)
    expect(output.split('\n')).toContain('POST /teams/:team/documents: document:create')
    expect(output.split('\n')).toContain('GET /health: anybody')
    const promised = promisedIn(readFileSync(join(folder, 'README.md'), 'utf8'))
    expect(promised.map(({ status }) => status)).toEqual([200, 401, 200, 403, 201, 403])
    for (const { path, method, headers, status } of promised) {
      const response = await fetch(url + path, { method, headers })
      expect({ path, headers, status: response.status }).toEqual({ path, headers, status })
      const type = status >= 400 ? 'application/problem+json' : 'application/json'
      expect(response.headers.get('content-type')).toContain(type)
    }
  })
})

/** Runs the example's start command until the test ends; resolves with its address once it has told it. */
async function start(folder: string): Promise<{ url: string; output: string }> {
  const child = spawnTied('pnpm', ['run', '--silent', 'start'], {
    cwd: folder,
    env: { ...process.env, PORT: '0' },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // pnpm, its shell and the server are one process group.
  onTestFinished(() => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  })
  let output = ''
  return new Promise((resolve, reject) => {
    const keep = (chunk: Buffer): void => {
      output += chunk.toString()
      const url = /^http:\/\/localhost:\d+$/m.exec(output)?.[0]
      if (url !== undefined) resolve({ url, output })
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    child.once('error', reject)
    child.once('exit', code => {
      reject(new Error(`the example ended with ${code}: ${output}`))
    })
  })
}

function promisedIn(readme: string): Promised[] {
  return [...readme.matchAll(/^curl -i (.*)localhost:3000(\S+) +# (\d{3})$/gm)].map(
    ([, flags = '', path = '', status]) => {
      const user = /-H 'x-user: (\w+)'/.exec(flags)?.[1]
      return {
        path,
        method: /-X (\w+)/.exec(flags)?.[1] ?? 'GET',
        headers: { ...(user !== undefined && { 'x-user': user }) },
        status: Number(status),
      }
    },
  )
}
