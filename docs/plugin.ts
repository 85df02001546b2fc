import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { JSX, RendererEvent, type Application, type DocumentReflection } from 'typedoc'

/** A TypeDoc plugin: names a page of text by its heading, and draws the diagrams of a page that has some. */
export function load(app: Application): void {
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    nameByHeading(project.documents ?? [])
  })
  app.renderer.hooks.on('body.end', ({ page }) => {
    const toRoot = '../'.repeat(page.url.split('/').length - 1)
    return JSX.createElement('script', { src: `${toRoot}assets/diagrams.js`, type: 'module' })
  })
  app.renderer.on(RendererEvent.END, ({ outputDirectory }) => {
    const assets = join(outputDirectory, 'assets')
    copyFileSync(fileURLToPath(import.meta.resolve('@mermaid-js/tiny')), join(assets, 'mermaid.tiny.js'))
    copyFileSync(join(import.meta.dirname, 'diagrams.client.mjs'), join(assets, 'diagrams.js'))
  })
}

function nameByHeading(pages: readonly DocumentReflection[]): void {
  for (const page of pages) {
    page.name = headingOf(page)
    nameByHeading((page.children ?? []).filter(child => child.isDocument()))
  }
}

function headingOf(page: DocumentReflection): string {
  const text = page.content.map(part => part.text).join('')
  const heading = /^# (.+)$/m.exec(text)?.[1]
  if (heading === undefined) throw new Error(`${page.name} has no heading`)
  return heading
}
