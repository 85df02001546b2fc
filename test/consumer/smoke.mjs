// node smoke.mjs <folder with tarballs> [--peers lowest|highest] [--node <version>]
//
// Installs the packed packages and their optional peers into an empty project and loads every door with the node that
// runs this file, by import and by require. Plain JavaScript: it runs on every Node that the packages support.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'
import { lowestPeers } from './lowest-peers.mjs'

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {Record<string, string | Record<string, string>>} exports
 * @property {Record<string, string>} [bin]
 * @property {Record<string, string>} [peerDependencies]
 */

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { peers: { type: 'string', default: 'highest' }, node: { type: 'string' } },
})
const tarballs = resolve(positionals[0] ?? '.')

if (values.node !== undefined && !`${process.versions.node}.`.startsWith(`${values.node}.`))
  throw new Error(`expected to run on Node ${values.node}; this is ${process.version}`)

const files = readdirSync(tarballs)
  .filter(name => name.endsWith('.tgz'))
  .map(name => join(tarballs, name))
const manifests = files.map(manifestOf)
// A command is run, not imported.
const doors = manifests.flatMap(({ name, exports, bin = {} }) =>
  Object.entries(exports)
    .filter(([, target]) => typeof target === 'object' && !Object.values(bin).includes(target.default))
    .map(([door]) => name + door.slice(1)),
)
const commands = manifests.flatMap(({ bin = {} }) => Object.keys(bin))
if (doors.length === 0) throw new Error(`found no package in ${tarballs}`)

const project = join(tarballs, `../consumer-${values.peers}`)
rmSync(project, { recursive: true, force: true })
mkdirSync(project, { recursive: true })
cpSync(join(import.meta.dirname, 'program.ts'), join(project, 'program.ts'))
writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
// pg is written in JavaScript, its types come beside it; two compilers, for whoever compiles program.ts.
npmInstall([
  ...files,
  ...peers(),
  '@types/node@24',
  '@types/pg@8',
  'typescript@6.0.3',
  'typescript-7@npm:typescript@7.0.2',
])

const require = createRequire(join(project, 'index.js'))
for (const door of doors) {
  const required = require(door)
  const imported = await import(pathToFileURL(require.resolve(door)).href)
  if (Object.keys(imported).length === 0) throw new Error(`${door} exports nothing`)
  if (required !== imported) throw new Error(`${door} is not the same module by import and by require`)
}
for (const command of commands) {
  const { stdout, stderr } = spawnSync(process.execPath, [join(project, 'node_modules/.bin', command)], {
    encoding: 'utf8',
  })
  assert.match(stdout + stderr, /^usage:/im, `${command} says how it is used`)
}
await checkBehaviour()
process.stdout.write(`${JSON.stringify({ node: process.version, peers: values.peers, project, doors })}\n`)

/** A little of what each package is for, by its parts that need no server. */
async function checkBehaviour() {
  const { definePermissions, definePolicy } = require('@countersign/rbac-core')
  const permissions = definePermissions({ document: ['read', 'delete'] })
  const policy = definePolicy(permissions, { roles: { viewer: { permissions: ['document:read'] } } })
  const access = policy.accessFor({ id: 'u1', roles: ['viewer'] })
  assert.deepEqual([access.can('document:read'), access.can('document:delete')], [true, false])

  const { createCaches } = require('@countersign/cache-adapter')
  const { memoryStore } = require('@countersign/cache-adapter/memory')
  const caches = createCaches({ store: memoryStore(), prefix: 'smoke', schemaVersion: 1 })
  const people = caches.namespace('people')
  await people.getOrLoad('42', () => 'first', { ttlMs: 60_000 })
  assert.equal(await people.getOrLoad('42', () => 'second', { ttlMs: 60_000 }), 'first')
  await caches.close()

  const { createQueue, defineTask } = require('@countersign/queue-adapter')
  const { jsonSchema } = require('@countersign/queue-adapter/ajv')
  const { memoryTransport } = require('@countersign/queue-adapter/memory')
  const queue = createQueue({ transport: memoryTransport() })
  const greet = defineTask({ name: 'greet', schema: jsonSchema({ type: 'string' }) })
  const greeted = new Promise(resolve => queue.work(greet, async name => resolve(name)))
  await queue.enqueue(greet, 'Ada')
  assert.equal(await greeted, 'Ada')
  await queue.close()

  const { createSanitize } = require('@countersign/audit-log')
  assert.ok(!JSON.stringify(createSanitize()({ password: 'hunter2' })).includes('hunter2'))
}

/** @param {string[]} specifiers */
function npmInstall(specifiers) {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...specifiers], {
    cwd: project,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** Each peer at the highest version that its packages allow, or at the lowest. */
function peers() {
  if (values.peers === 'lowest') return [...lowestPeers(manifests)].map(([name, version]) => `${name}@${version}`)
  const ranges = new Map(manifests.flatMap(({ peerDependencies = {} }) => Object.entries(peerDependencies)))
  return [...ranges].map(([name, range]) => `${name}@${range}`)
}

/**
 * @param {string} tarball
 * @returns {Manifest}
 */
function manifestOf(tarball) {
  return JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }))
}
