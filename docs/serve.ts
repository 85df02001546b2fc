// `pnpm docs:serve`: shows the built documentation on this machine.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize, resolve } from 'node:path'

/** The folder to show. @defaultValue `docs/site` */
const site = resolve(process.argv[2] ?? join(import.meta.dirname, 'site'))
const types: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
}

if (!existsSync(join(site, 'index.html'))) {
  console.error('There is no site yet: run `pnpm run docs` first.')
  process.exit(1)
}

const server = createServer((request, response) => {
  const file = fileAt(request.url ?? '/')
  if (file === undefined) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('There is no such page.')
    return
  }
  response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' })
  createReadStream(file).pipe(response)
})

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
})

/** The file of the site behind an address; nothing outside of it. */
function fileAt(address: string): string | undefined {
  const { pathname } = new URL(address, 'http://127.0.0.1')
  let path: string
  try {
    path = decodeURIComponent(pathname)
  } catch {
    return undefined
  }
  const file = join(site, normalize(path.endsWith('/') ? `${path}index.html` : path))
  return file.startsWith(`${site}/`) && existsSync(file) && statSync(file).isFile() ? file : undefined
}
