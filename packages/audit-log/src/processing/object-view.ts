import { types } from 'node:util'

/** How an object is to be read: as fields by name, as a list, or as the simpler value that stands for it. */
export type ObjectView =
  | { readonly kind: 'fields'; readonly source: object; readonly names: readonly string[] }
  | { readonly kind: 'entries'; readonly entries: Iterable<readonly [unknown, unknown]>; readonly size: number }
  | { readonly kind: 'list'; readonly list: Iterable<unknown>; readonly size: number }
  | { readonly kind: 'value'; readonly value: unknown }

/** Stands for what threw when it was read. */
export const unreadable = '[unreadable]'

/**
 * Chooses how to read `source`. Runs code of the object's own (getters, `toJSON`, proxy traps), so it may throw. Brand
 * checks and methods taken from the prototypes, because an object can lie about both.
 */
export function viewOf(source: object): ObjectView {
  if (Array.isArray(source)) return { kind: 'list', list: source, size: source.length }
  const prototype: unknown = Object.getPrototypeOf(source)
  if (prototype !== Object.prototype && prototype !== null) {
    const special = viewOfSpecial(source)
    if (special) return special
  }
  const { toJSON } = source as { toJSON?: unknown }
  if (typeof toJSON === 'function') return { kind: 'value', value: (toJSON as () => unknown).call(source) }
  return { kind: 'fields', source, names: Object.keys(source) }
}

function viewOfSpecial(source: object): ObjectView | undefined {
  if (types.isDate(source)) return { kind: 'value', value: dateText(source) }
  if (ArrayBuffer.isView(source) || types.isAnyArrayBuffer(source)) {
    return { kind: 'value', value: `[binary: ${source.byteLength} bytes]` }
  }
  if (source instanceof Blob) return { kind: 'value', value: `[binary: ${source.size} bytes]` }
  if (types.isMap(source)) return entries(Map.prototype.entries.call(source), source.size)
  if (types.isSet(source)) return { kind: 'list', list: Set.prototype.values.call(source), size: source.size }
  if (types.isNativeError(source)) return viewOfError(source)
  if (types.isBoxedPrimitive(source)) return { kind: 'value', value: source.valueOf() }
  if (types.isRegExp(source)) return { kind: 'value', value: `[pattern: ${source.source}]` }
  if (types.isPromise(source)) return { kind: 'value', value: '[promise]' }
  if (source instanceof URLSearchParams || source instanceof Headers || source instanceof FormData) {
    const all = [...source]
    return entries(all, all.length)
  }
  if ('pipe' in source && typeof source.pipe === 'function') return { kind: 'value', value: '[stream]' }
  return undefined
}

function entries(list: Iterable<readonly [unknown, unknown]>, size: number): ObjectView {
  return { kind: 'entries', entries: list, size }
}

function dateText(date: Date): string {
  const time = Date.prototype.getTime.call(date)
  return Number.isNaN(time) ? '[invalid date]' : new Date(time).toISOString()
}

/** The name, message and causes of an error are not enumerable; its stack is left out, it tells of the code. */
function viewOfError(error: Error): ObjectView {
  const hidden = ['name', 'message', 'cause', 'errors'].filter(name => name in error)
  const own = Object.keys(error).filter(name => name !== 'stack' && !hidden.includes(name))
  return { kind: 'fields', source: error, names: [...hidden, ...own] }
}
