import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

const folder = join(dirname(createRequire(import.meta.url).resolve('memjs/package.json')))

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(join(folder, file)))
    .digest('hex')
}

test('memjs is the version that the hardening was written for, to the byte', async () => {
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  expect(manifest.peerDependencies.memjs).toBe('1.3.2')
  expect(version).toBe('1.3.2')
  expect({
    server: await sha256('lib/memjs/server.js'),
    utils: await sha256('lib/memjs/utils.js'),
    header: await sha256('lib/memjs/header.js'),
  }).toMatchInlineSnapshot(`
    {
      "header": "83f42ae0050899ba7389d928fb37ff8dc2df5a6a691315e0b848a8fc0e506e89",
      "server": "eab37389a88a7f4a2d64b3d54f55a703771066b58aa54b21027e585d71d3a631",
      "utils": "46bdf53743f5626329305e85335ab551bdef462f9432c39ad8deb08b7a8d1d5d",
    }
  `)
})
