import { createIsSecretName, type SecretNameOptions } from './secret-name.ts'
import { cut, wellFormed } from './text.ts'

/** What is known of a field's name: how it is written in the copy, and whether its value is hidden. */
export interface FieldName {
  readonly text: string
  readonly isSecret: boolean
}

const longestName = 128
const mostCached = 4096

/** Makes the lookup of field names; their verdicts are kept, since an app has few names and many values. */
export function createFieldNames(options: SecretNameOptions): (name: string) => FieldName {
  const isSecretName = createIsSecretName(options)
  const known = new Map<string, FieldName>()

  return function fieldName(name) {
    const seen = known.get(name)
    if (seen) return seen
    const verdict = { text: wellFormed(cut(name, longestName)), isSecret: isSecretName(name) }
    // A client that invents names must neither fill the memory nor keep the app's own names out for long.
    if (known.size >= mostCached) known.clear()
    if (name.length <= longestName) known.set(name, verdict)
    return verdict
  }
}
