import { AuditOptionError } from '../errors.ts'

/** How much of one value is kept; what is cut off is marked where it was. */
export interface SanitizeLimits {
  /** Objects and arrays inside one another. @defaultValue `10` */
  readonly depth: number
  /** Fields of one object. @defaultValue `200` */
  readonly fields: number
  /** Elements of one array, set or map. @defaultValue `200` */
  readonly elements: number
  /** UTF-16 units of one text. @defaultValue `8192` */
  readonly textLength: number
  /** Values in the whole tree. @defaultValue `5000` */
  readonly values: number
  /** Bytes of all names and texts together, in UTF-8 and before JSON escapes any. @defaultValue `65536` */
  readonly bytes: number
}

const defaults: SanitizeLimits = {
  depth: 10,
  fields: 200,
  elements: 200,
  textLength: 8192,
  values: 5000,
  bytes: 65_536,
}

/** Lays `limits` over the defaults and checks them. */
export function resolveLimits(limits: Partial<SanitizeLimits> = {}): SanitizeLimits {
  const resolved = { ...defaults, ...limits }
  for (const [name, limit] of Object.entries(resolved)) {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new AuditOptionError(`limits.${name}`, 'a positive whole number')
    }
  }
  return resolved
}
