// node smoke.mjs <folder with tarballs> [--peers lowest|highest] [--node <version>]
//
// Installs the packed packages and their optional peers into an empty project and loads every door with the node that
// runs this file, by import and by require. Plain JavaScript: it runs on every Node that the packages support.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { pathToFileURL } from 'node:url'

/** @typedef {{ name: string, exports: Record<string, unknown>, peerDependencies?: Record<string, string> }} Manifest */

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { peers: { type: 'string', default: 'highest' }, node: { type: 'string' } },
})
const tarballs = resolve(positionals[0] ?? '.')

if (values.node !== undefined && !`${process.versions.node}.`.startsWith(`${values.node}.`))
  throw new Error(`expected to run on Node ${values.node}; this is ${process.version}`)

const project = join(tarballs, `../consumer-${values.peers}`)
install()
const doors = manifests().flatMap(({ name, exports }) =>
  Object.keys(exports)
    .filter(door => door !== './package.json')
    .map(door => name + door.slice(1)),
)
if (doors.length === 0) throw new Error('found no door to try')

const require = createRequire(join(project, 'index.js'))
for (const door of doors) {
  const required = require(door)
  const imported = await import(pathToFileURL(require.resolve(door)).href)
  if (Object.keys(imported).length === 0) throw new Error(`${door} exports nothing`)
  if (required !== imported) throw new Error(`${door} is not the same module by import and by require`)
}
process.stdout.write(`${JSON.stringify({ node: process.version, peers: values.peers, project, doors })}\n`)

function install() {
  rmSync(project, { recursive: true, force: true })
  mkdirSync(project, { recursive: true })
  cpSync(join(import.meta.dirname, 'program.ts'), join(project, 'program.ts'))
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const files = readdirSync(tarballs).filter(name => name.endsWith('.tgz'))
  const own = files.map(name => join(tarballs, name))
  npmInstall(own)
  npmInstall([...own, ...peers()])
}

/** @param {string[]} specifiers */
function npmInstall(specifiers) {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', ...specifiers], {
    cwd: project,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** Each peer at the highest version allowed, or at the lowest that all packages together allow. */
function peers() {
  /** @type {Map<string, string>} */
  const chosen = new Map()
  for (const { peerDependencies = {} } of manifests()) {
    for (const [name, range] of Object.entries(peerDependencies)) {
      const [lowest] = /\d+\.\d+\.\d+/.exec(range) ?? []
      if (lowest === undefined) throw new Error(`cannot tell the lowest version of ${name} in "${range}"`)
      const wanted = values.peers === 'lowest' ? lowest : range
      const before = chosen.get(name)
      if (before === undefined || before.localeCompare(wanted, 'en', { numeric: true }) < 0) chosen.set(name, wanted)
    }
  }
  return [...chosen].map(([name, wanted]) => `${name}@${wanted}`)
}

/** @returns {Manifest[]} */
function manifests() {
  const scope = join(project, 'node_modules/@countersign')
  if (!existsSync(scope)) throw new Error('npm installed none of the packages')
  return readdirSync(scope).map(name => JSON.parse(readFileSync(join(scope, name, 'package.json'), 'utf8')))
}
