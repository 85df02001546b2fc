// node lowest-peers.mjs >> pnpm-workspace.yaml     makes the workspace install the lowest peers that it allows
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

/**
 * Each peer at the lowest version that all the packages together allow.
 * @param {{ peerDependencies?: Record<string, string> }[]} manifests
 * @returns {Map<string, string>}
 */
export function lowestPeers(manifests) {
  const lowest = new Map()
  for (const { peerDependencies = {} } of manifests) {
    for (const [name, range] of Object.entries(peerDependencies)) {
      const [version] = /\d+\.\d+\.\d+/.exec(range) ?? []
      if (version === undefined) throw new Error(`cannot tell the lowest version of ${name} in "${range}"`)
      if (!lowest.has(name) || isLower(lowest.get(name), version)) lowest.set(name, version)
    }
  }
  return lowest
}

function isLower(one, other) {
  return one.localeCompare(other, 'en', { numeric: true }) < 0
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '../..')
  const manifests = globSync('packages/*/package.json', { cwd: root }).map(file =>
    JSON.parse(readFileSync(join(root, file), 'utf8')),
  )
  const lines = [...lowestPeers(manifests)].map(([name, version]) => `  '${name}': '${version}'\n`)
  process.stdout.write(`\noverrides:\n${lines.join('')}`)
}
