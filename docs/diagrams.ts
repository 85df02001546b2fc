import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { JSX, RendererEvent, type Application } from 'typedoc'

const renderer = 'mermaid.tiny.js'

/** A TypeDoc plugin: pages with a mermaid block draw it, in the colours of the page, by a script of this site. */
export function load(app: Application): void {
  app.renderer.hooks.on('body.end', context => {
    const depth = context.page.url.split('/').length - 1
    return JSX.createElement('script', { src: `${'../'.repeat(depth)}assets/diagrams.js`, type: 'module' })
  })
  app.renderer.on(RendererEvent.END, event => {
    const assets = join(event.outputDirectory, 'assets')
    copyFileSync(fileURLToPath(import.meta.resolve('@mermaid-js/tiny')), join(assets, renderer))
    copyFileSync(join(import.meta.dirname, 'diagrams.client.mjs'), join(assets, 'diagrams.js'))
  })
}
