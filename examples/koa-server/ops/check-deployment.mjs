// node check-deployment.mjs <https://address> <check> [<check> …]
//
// Asks a deployed register, from outside, whether it behaves. Ends with 1 and a line for each thing that does not.
import { spawn } from 'node:child_process'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

const checks = {
  outside: checkOutside,
  'sign-in': checkSignIn,
  replacement: checkReplacement,
}

const [, , address = '', ...names] = process.argv
const unknown = names.filter(name => !Object.hasOwn(checks, name))
if (!URL.canParse(address) || names.length === 0 || unknown.length > 0) {
  process.stderr.write(`usage: check-deployment.mjs <address> <${Object.keys(checks).join('|')}> …\n`)
  process.exit(2)
}

/** @type {string[]} */
const problems = []
for (const name of names) {
  const before = problems.length
  await checks[name]().catch(error =>
    problems.push(`${error.message}${error.cause ? ` (${error.cause.message})` : ''}`),
  )
  process.stdout.write(`${name}: ${problems.length === before ? 'as it should be' : 'not as it should be'}\n`)
}
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

/** Says what an answer should have been when it was not. */
function expect(actual, wanted, what) {
  if (actual !== wanted) problems.push(`${what}: expected ${wanted}, got ${actual}`)
}

function request(path, options = {}) {
  return fetch(new URL(path, address), { redirect: 'manual', signal: AbortSignal.timeout(10_000), ...options })
}

/** A stranger gets nothing but the way in, over TLS, with every header that protects a browser. */
async function checkOutside() {
  const answer = await request('/api/v1/documents')
  expect(answer.status, 401, 'documents without a session')
  expect(answer.headers.get('content-type')?.split(';')[0], 'application/problem+json', 'the form of a refusal')
  for (const [name, value] of Object.entries({
    'strict-transport-security': 'max-age=63072000; includeSubDomains',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  }))
    expect(answer.headers.get(name), value, name)
  expect(answer.headers.get('server'), 'nginx', 'what the server tells of itself')
  for (const path of ['/readyz', '/livez', '/metrics', '/.git/config'])
    expect((await request(path)).status, 404, `${path} from outside`)
  const forged = await request('/api/v1/documents', { headers: { authorization: 'Bearer made-up' } })
  expect(forged.status, 401, 'a session that was made up')
}

/** Somebody with the role `viewer` signs in, reads, is refused to write, signs out; the session is over then. */
async function checkSignIn() {
  const { CHECK_USERNAME: username, CHECK_PASSWORD: password } = process.env
  const created = await request('/api/v1/session', json('POST', { username, password }))
  expect(created.status, 201, 'a sign-in')
  const { token } = await created.json()
  const headers = { authorization: `Bearer ${token}` }
  expect((await request('/api/v1/documents', { headers })).status, 200, 'reading')
  const refused = await request('/api/v1/documents', json('POST', { title: 'check', body: '' }, headers))
  expect(refused.status, 403, 'writing without the permission')
  expect((await request('/api/v1/session', { method: 'DELETE', headers })).status, 204, 'a sign-out')
  expect((await request('/api/v1/documents', { headers })).status, 401, 'the session after the sign-out')
}

/** One instance is replaced by the command in REPLACE while eight clients ask; each of them is answered. */
async function checkReplacement() {
  const { REPLACE: command } = process.env
  if (!command) throw new Error('REPLACE: expected the command that replaces one instance')
  let replacing = true
  let answered = 0
  const clients = Array.from({ length: 8 }, async () => {
    while (replacing) {
      const status = await request('/api/v1/documents').then(
        answer => answer.status,
        error => error.message,
      )
      if (status === 401) answered += 1
      else expect(status, 401, 'a request while an instance is replaced')
      await sleep(20)
    }
  })
  const code = await new Promise((resolve, reject) => {
    spawn('sh', ['-c', command], { stdio: ['ignore', 'inherit', 'inherit'] })
      .once('exit', resolve)
      .once('error', reject)
  })
  replacing = false
  await Promise.all(clients)
  expect(code, 0, 'the end of the command in REPLACE')
  if (answered < 100) problems.push(`a replacement under load: expected 100 answers or more, got ${answered}`)
}

function json(method, body, headers = {}) {
  return { method, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
}
