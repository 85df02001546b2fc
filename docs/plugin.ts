import { copyFileSync, existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  Application,
  JSX,
  ReflectionKind,
  RendererEvent,
  type CommentDisplayPart,
  type DeclarationReflection,
  type DocumentReflection,
  type ProjectReflection,
} from 'typedoc'

const root = join(import.meta.dirname, '..')
const repository = 'https://github.com/countersign-dev/countersign/blob/main'

/**
 * A TypeDoc plugin: asks for the documentation that the packages owe their readers, names a page of text by its heading,
 * and draws the diagrams of a page that has some.
 */
export function load(app: Application): void {
  app.on(Application.EVENT_VALIDATE_PROJECT, project => {
    for (const name of undocumented(project)) app.logger.warn(`${name} has no documentation`)
  })
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    nameByHeading(project.documents ?? [])
    leadToRepository(project, project.readme ?? [], '')
    for (const one of project.getReflectionsByKind(ReflectionKind.Module) as DeclarationReflection[])
      leadToRepository(project, one.readme ?? [], `packages/${one.name.replace('@countersign/', '')}`)
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

/**
 * Lists what is exported without a word, and the methods of it. Properties may speak by their name and type, and so may
 * what only repeats a part of a library's own types (`KoaContextLike`).
 */
function undocumented(project: ProjectReflection): string[] {
  const exported = project.getReflectionsByKind(ReflectionKind.Module).flatMap(door => {
    const names = (door as DeclarationReflection).children ?? []
    return names.filter(one => one.kind !== ReflectionKind.Module && one.kind !== ReflectionKind.Reference)
  })
  const methods = exported
    .filter(one => !one.name.endsWith('Like'))
    .flatMap(one => one.children ?? [])
    .filter(member => member.kind === ReflectionKind.Method)
  return [...exported, ...methods].filter(one => !isDocumented(one)).map(one => one.getFullName())
}

function isDocumented(one: DeclarationReflection): boolean {
  return one.hasComment() || (one.signatures ?? []).some(signature => signature.hasComment())
}

/** A README links to files beside it, which the repository shows and this site does not. */
function leadToRepository(project: ProjectReflection, parts: readonly CommentDisplayPart[], folder: string): void {
  for (const part of parts) {
    if (part.kind !== 'relative-link') continue
    const target = part.target === undefined ? undefined : project.files.resolve(part.target, project)
    if (typeof target === 'object') continue
    const path = posix.join(folder, part.text)
    if (!existsSync(join(root, path.replace(/#.*$/, '')))) throw new Error(`a README links to ${path}`)
    part.text = `${repository}/${path}`
    delete (part as { target?: unknown }).target
  }
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
