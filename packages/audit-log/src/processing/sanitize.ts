import { createFieldNames } from './field-name.ts'
import { createHide, type HideOptions, isHidden } from './hide.ts'
import type { JsonValue } from './json-value.ts'
import { resolveLimits, type SanitizeLimits } from './limits.ts'
import { type ObjectView, unreadable, viewOf } from './object-view.ts'
import type { SecretNameOptions } from './secret-name.ts'
import { found as bit, screen } from './screen.ts'
import { replaceSecrets } from './secret-text.ts'
import { cut, wellFormed } from './text.ts'

/** What counts as a secret, what becomes of it, and how much of a value is kept. */
export interface SanitizeOptions extends HideOptions, SecretNameOptions {
  readonly limits?: Partial<SanitizeLimits> | undefined
}

/** Gives a bounded copy of any value without its secrets; never throws and never changes its argument. */
export type Sanitize = (value: unknown) => JsonValue

/** What is left to spend on one value, and the objects being copied around it. */
interface Walk {
  values: number
  bytes: number
  readonly ancestors: object[]
}

type Fields = Record<string, unknown>

const labels = ['name', 'key', 'field', 'column', 'header', 'path']
const labelled = new Set(['value', 'old', 'new', 'oldValue', 'newValue', 'before', 'after'])

// A secret that begins before the cut must be seen to its end, or its first half stays.
const beyondCut = 512

/**
 * Makes a function that copies any value to bounded, well-formed JSON data without secrets.
 *
 * Secrets are known by the names of fields (`password`, `apiKey`, `set-cookie` …) and by how texts look (payment cards,
 * JSON web tokens, bearer and basic credentials, private keys, passwords in addresses, cookie headers). A secret is
 * replaced whole, never by half. Whatever the value does (getters that throw, cycles, proxies, 50 MB of text), the call
 * returns, and what had to be cut is marked.
 *
 * @param options - What to hide and how much to keep; by default secrets are masked.
 * @returns The function.
 * @throws AuditOptionError `AUDIT_OPTION_INVALID` for mode `hash` without a key and for a limit that is no positive
 *   whole number.
 * @example
 * ```ts
 * import { createSanitize } from '@countersign/audit-log'
 *
 * const sanitize = createSanitize({ openNames: ['page_token'] })
 * sanitize({ user: 'ada', password: 'enchantress', page_token: 'p2' })
 * // => { user: 'ada', password: '[masked]', page_token: 'p2' }
 * ```
 */
export function createSanitize(options: SanitizeOptions = {}): Sanitize {
  const limits = resolveLimits(options.limits)
  const hide = createHide(options)
  const fieldName = createFieldNames(options)
  const isSecret = (name: string): boolean => fieldName(name).isSecret

  return function sanitize(value) {
    return copy(value, { values: limits.values, bytes: limits.bytes, ancestors: [] }) ?? null
  }

  /** Gives undefined for what JSON leaves out. */
  function copy(value: unknown, walk: Walk): JsonValue | undefined {
    walk.values--
    switch (typeof value) {
      case 'string':
        return copyText(value, walk)
      case 'number':
        return copyNumber(value)
      case 'boolean':
        return value
      case 'undefined':
        return undefined
      case 'bigint':
        return copyBigInt(value)
      case 'symbol':
        return '[symbol]'
      case 'function':
        return '[function]'
      case 'object':
        return value === null ? null : copyObject(value, walk)
    }
  }

  function copyText(text: string, walk: Walk): string {
    const length = Math.min(limits.textLength, Math.max(walk.bytes, 0))
    const isCut = text.length > length
    const seen = isCut ? text.slice(0, length + beyondCut) : text
    const screened = screen(seen)
    const shown = screened === 0 ? seen : showText(seen, screened, text.length > seen.length)
    const kept = isCut ? cut(shown, length, text.length) : shown
    walk.bytes -= screened & bit.notAscii ? Buffer.byteLength(kept) : kept.length
    return kept
  }

  function showText(text: string, screened: number, isCut: boolean): string {
    const whole = screened & (bit.surrogate | bit.nul) ? wellFormed(text) : text
    return replaceSecrets(whole, screened, isCut, isSecret, hide.inText)
  }

  function copyNumber(value: number): JsonValue {
    if (!Number.isFinite(value)) return String(value)
    // JSON has no negative zero.
    if (value === 0) return 0
    // A card's number may come as a number.
    return value >= 1e12 && Number.isSafeInteger(value) ? replacedDigits(String(value), value) : value
  }

  function copyBigInt(value: bigint): JsonValue {
    if (BigInt.asIntN(4096, value) !== value) return '[truncated: bigint]'
    const digits = String(value)
    return replacedDigits(digits, digits)
  }

  function replacedDigits(digits: string, value: string | number): JsonValue {
    const replaced = showText(digits, bit.manyDigits, false)
    return replaced === digits ? value : replaced
  }

  function copyObject(value: object, walk: Walk): JsonValue | undefined {
    const { ancestors } = walk
    if (ancestors.includes(value)) return '[circular]'
    if (ancestors.length >= limits.depth) return '[truncated: depth]'
    ancestors.push(value)
    try {
      return copyView(viewOf(value), walk)
    } catch {
      // The object ran code of its own and that failed; the mark says so in the row.
      return unreadable
    } finally {
      ancestors.pop()
    }
  }

  function copyView(view: ObjectView, walk: Walk): JsonValue | undefined {
    switch (view.kind) {
      case 'value':
        return copy(view.value, walk)
      case 'list':
        return copyList(view.list, view.size, walk)
      case 'entries':
        return copyEntries(view.entries, view.size, walk)
      case 'fields':
        return copyFields(view.source, view.names, walk)
    }
  }

  function copyList(list: Iterable<unknown>, size: number, walk: Walk): JsonValue {
    const out: JsonValue[] = []
    const isEntry = size === 2 && Array.isArray(walk.ancestors.at(-2))
    for (const element of list) {
      if (out.length >= limits.elements || isSpent(walk)) {
        out.push(`[truncated: ${size - out.length} more]`)
        break
      }
      // `[['password', '…']]`, as `Object.entries` makes it.
      const hidden = isEntry && out.length === 1 && typeof out[0] === 'string' && isSecret(out[0])
      out.push((hidden ? hideField(element) : copy(element, walk)) ?? null)
    }
    return out
  }

  function copyEntries(entries: Iterable<readonly [unknown, unknown]>, size: number, walk: Walk): JsonValue {
    const out: Fields = {}
    let taken = 0
    for (const [name, value] of entries) {
      if (taken >= limits.elements || isSpent(walk)) return markCut(out, size - taken)
      taken++
      const text = nameOf(name)
      copyField(out, text, value, undefined, walk)
    }
    return out as JsonValue
  }

  function copyFields(source: object, names: readonly string[], walk: Walk): JsonValue {
    const out: Fields = {}
    let taken = 0
    for (const name of names) {
      if (taken >= limits.fields || isSpent(walk)) return markCut(out, names.length - taken)
      taken++
      let value: unknown
      try {
        value = (source as Fields)[name]
      } catch {
        value = unreadable
      }
      copyField(out, name, value, source as Fields, walk)
    }
    return out as JsonValue
  }

  function copyField(out: Fields, name: string, value: unknown, owner: Fields | undefined, walk: Walk): void {
    const known = fieldName(name)
    walk.bytes -= known.text.length
    const copied = known.isSecret || isLabelledSecret(name, owner) ? hideField(value) : copy(value, walk)
    if (copied !== undefined) setField(out, known.text, copied, known.text !== name)
  }

  /** `{ name: 'password', value: '…' }`, as forms, headers and lists of changes have it. */
  function isLabelledSecret(name: string, owner: Fields | undefined): boolean {
    if (owner === undefined || !labelled.has(name)) return false
    try {
      return labels.some(label => typeof owner[label] === 'string' && isSecret(owner[label]))
    } catch {
      return true
    }
  }

  /** Whether a secret is set at all is no secret. */
  function hideField(value: unknown): JsonValue | undefined {
    if (value === null || value === undefined || typeof value === 'boolean') return value
    return typeof value === 'string' && isHidden(value) ? value : hide.field(value)
  }
}

/** A map's key as a field's name. */
function nameOf(key: unknown): string {
  if (typeof key === 'string') return key
  return typeof key === 'number' || typeof key === 'boolean' ? String(key) : `[${typeof key}]`
}

function isSpent(walk: Walk): boolean {
  return walk.values <= 0 || walk.bytes <= 0
}

function markCut(out: Fields, more: number): JsonValue {
  out['[truncated]'] = `${more} more`
  return out as JsonValue
}

function setField(out: Fields, name: string, value: JsonValue, isChanged: boolean): void {
  // Two names may become one when they are cut or made well-formed; assigning to `__proto__` would set no field.
  const free = isChanged && Object.hasOwn(out, name) ? `${name}~${Object.keys(out).length}` : name
  if (free === '__proto__')
    Object.defineProperty(out, free, { value, enumerable: true, configurable: true, writable: true })
  else out[free] = value
}
