import { readFileSync } from 'node:fs'

/**
 * The value of a variable: its own, or what the file holds that `<NAME>_FILE` names, as an orchestrator hands out
 * secrets. Empty counts as not set.
 *
 * @throws an Error that names the variable and what was expected, never a value.
 */
export function readSetting(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const [value, file] = [env[name], env[`${name}_FILE`]]
  if (!file) return value === '' ? undefined : value
  if (value) throw new Error(`${name}: expected ${name} or ${name}_FILE, not both`)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Error(`${name}_FILE: expected the path of a file that this process may read`, { cause })
  }
  // Whoever writes a file with an editor or with echo ends it with a line feed.
  const content = text.replace(/\r?\n$/, '')
  if (content === '') throw new Error(`${name}_FILE: expected a file that is not empty`)
  return content
}
