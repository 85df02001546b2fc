import { execFile, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { spawnTied, stopChild, temporaryFolder } from '../support/service.ts'

const root = join(import.meta.dirname, '../..')
const run = promisify(execFile)

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let build: { stdout: string; stderr: string }
let server: ChildProcess
let address: string
let browser: Browser

beforeAll(async () => {
  folder = await temporaryFolder('docs')
  const typedoc = join(root, 'node_modules/.bin/typedoc')
  build = await run(typedoc, ['--options', 'docs/typedoc.json', '--out', folder.path], { cwd: root })
  server = spawnTied(process.execPath, [join(root, 'docs/serve.ts'), folder.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (!server.stdout) throw new Error('the server of the documentation has no output')
  const [line] = (await once(server.stdout, 'data')) as [Buffer]
  address = line.toString().trim()
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'].concat([
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ]),
  })
})
afterAll(async () => {
  await browser.close()
  await stopChild(server)
  await folder.remove()
})

test('the documentation is built without a warning', () => {
  expect(`${build.stdout}${build.stderr}`).not.toMatch(/warning|error/i)
})

test('no link of the documentation leads nowhere', () => {
  const pages = new Map(
    globSync('**/*.html', { cwd: folder.path }).map(page => [page, readFileSync(join(folder.path, page), 'utf8')]),
  )
  expect(pages.size).toBeGreaterThan(100)
  const files = new Set(globSync('**/*', { cwd: folder.path }))
  const broken = new Set<string>()
  for (const [page, html] of pages) {
    for (const [, link = ''] of html.matchAll(/(?:href|src)="([^"]+)"/g)) {
      if (/^(https?:|data:|mailto:)/.test(link)) continue
      const [path = '', anchor] = link.replaceAll('&amp;', '&').split('#')
      const target = path === '' ? page : join(dirname(page), decodeURIComponent(path))
      const there = path === '' ? html : pages.get(target)
      if (!files.has(target)) broken.add(`${page}: ${link}`)
      else if (anchor && there !== undefined && !there.includes(`id="${decodeURIComponent(anchor)}"`))
        broken.add(`${page}: ${link}`)
    }
  }
  expect([...broken]).toEqual([])
})

async function openPage(options: {
  colorScheme?: 'light' | 'dark'
  viewport: { width: number; height: number }
}): Promise<{ page: Page; complaints: string[] }> {
  const complaints: string[] = []
  const page = await browser.newPage(options)
  page.on('pageerror', error => complaints.push(error.message))
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return { page, complaints }
}

test('every page of text fits a phone, and complains of nothing', async () => {
  const { page, complaints } = await openPage({ viewport: { width: 390, height: 844 } })
  const pages = ['index.html', ...globSync('documents/*.html', { cwd: folder.path })]
  expect(pages.length).toBeGreaterThan(15)
  const tooWide: string[] = []
  for (const name of pages) {
    await page.goto(address + name)
    if (Number(await page.evaluate('document.documentElement.scrollWidth')) > 390) tooWide.push(name)
  }
  expect({ tooWide, complaints }).toEqual({ tooWide: [], complaints: [] })
  await page.close()
})

test.each(['light', 'dark'] as const)('the diagrams are drawn in the colours of a %s page', async colorScheme => {
  const { page, complaints } = await openPage({ colorScheme, viewport: { width: 1280, height: 800 } })
  await page.goto(`${address}documents/guide_how-it-works.html`)
  const source = readFileSync(join(root, 'docs/guide/how-it-works.md'), 'utf8')
  const diagrams = source.split('```mermaid').length - 1
  await page.waitForFunction(`document.querySelectorAll('pre.diagram > svg').length === ${diagrams}`)
  const drawn = await page.locator('pre.diagram').allInnerTexts()
  expect(drawn.filter(text => text.includes('Syntax error'))).toEqual([])
  const background = String(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
  const [red = 128] = [...background.matchAll(/\d+/g)].map(Number)
  expect(red > 128 ? 'light' : 'dark').toBe(colorScheme)
  expect(complaints).toEqual([])
  await page.close()
})

test.each([
  { term: 'STALE_ACCESS', target: 'errors.html' },
  { term: 'createAuthorizer', target: 'functions/' },
])('the search finds $term', async ({ term, target }) => {
  const { page } = await openPage({ viewport: { width: 390, height: 844 } })
  await page.goto(address)
  await page.click('#tsd-search-trigger')
  await page.fill('#tsd-search-input', term)
  await page.waitForSelector(`#tsd-search-results a[href*="${target}"]`, { state: 'attached' })
  await page.close()
})
