import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AuditOptionError } from '../../src/errors.ts'
import type { JsonValue } from '../../src/processing/json-value.ts'
import { createSanitize } from '../../src/processing/sanitize.ts'

const sanitize = createSanitize()

describe('secrets in fields', () => {
  test('a field with a secret name is masked, whatever it holds', () => {
    expect(
      sanitize({ user: 'ada', password: 'enchantress', pin: 1234, credentials: { a: 'b' }, tokens: ['a'] }),
    ).toEqual({
      user: 'ada',
      password: '[masked]',
      pin: '[masked]',
      credentials: '[masked]',
      tokens: '[masked]',
    })
  })

  test('whether a secret is set at all stays visible', () => {
    expect(sanitize({ password: null, secret: true, token: undefined })).toEqual({ password: null, secret: true })
  })

  test('fields of maps, headers and search parameters count as fields', () => {
    expect(
      sanitize(
        new Map<unknown, unknown>([
          ['token', 'a'],
          ['page', 2],
          [3, 'x'],
          [{}, 'y'],
        ]),
      ),
    ).toEqual({
      token: '[masked]',
      page: 2,
      3: 'x',
      '[object]': 'y',
    })
    expect(sanitize(new Headers({ authorization: 'Bearer a', accept: '*/*' }))).toEqual({
      authorization: '[masked]',
      accept: '*/*',
    })
    expect(sanitize(new URLSearchParams('token=a&page=2'))).toEqual({ token: '[masked]', page: '2' })
  })

  test('a value listed beside its name is masked', () => {
    const list = [
      { name: 'password', value: 'x' },
      { name: 'city', value: 'y' },
      { key: 'pin', value: 1 },
      { field: 'api_key', old: 'a', new: 'b' },
      { op: 'replace', path: '/user/password', value: 'x' },
    ]
    expect(sanitize(list)).toEqual([
      { name: 'password', value: '[masked]' },
      { name: 'city', value: 'y' },
      { key: 'pin', value: '[masked]' },
      { field: 'api_key', old: '[masked]', new: '[masked]' },
      { op: 'replace', path: '/user/password', value: '[masked]' },
    ])
  })

  test('a value in an entry is masked, a list of field names is not', () => {
    const entries = Object.entries({ password: 'x', city: 'y' })
    expect(sanitize({ entries, changed: ['password', 'city'] })).toEqual({
      entries: [
        ['password', '[masked]'],
        ['city', 'y'],
      ],
      changed: ['password', 'city'],
    })
  })

  test('mode drop leaves the field out', () => {
    const drop = createSanitize({ mode: 'drop' })
    expect(drop({ user: 'ada', password: 'x', note: 'token=abc' })).toEqual({ user: 'ada', note: 'token=[removed]' })
  })

  test('mode hash lets equal secrets be recognised and depends on the key', () => {
    const hash = createSanitize({ mode: 'hash', hashKey: 'a key of at least 16 bytes' })
    const other = createSanitize({ mode: 'hash', hashKey: 'another key of 16 bytes' })
    const { a, b, c } = hash({ a: { pin: '1234' }, b: { pin: '1234' }, c: { pin: '1235' } }) as Record<string, unknown>
    expect(a).toEqual({ pin: expect.stringMatching(/^\[hash [\da-f]{32}\]$/) as string })
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
    expect(other({ pin: '1234' })).not.toEqual(a)
  })

  test('mode hash without a key is refused, as a PIN would be guessed from its hash', () => {
    expect(() => createSanitize({ mode: 'hash' })).toThrow(AuditOptionError)
    expect(() => createSanitize({ mode: 'hash', hashKey: 'short' })).toThrow(/hashKey/)
  })

  test('a second pass changes nothing', () => {
    const row = { password: 'x', note: 'password=x; Bearer abcdef0123456789abcdef', card: '4111 1111 1111 1111' }
    for (const mode of ['mask', 'drop', 'hash'] as const) {
      const twice = createSanitize({ mode, hashKey: 'a key of at least 16 bytes' })
      expect(twice(twice(row))).toEqual(twice(row))
    }
  })

  test('names can be added and opened', () => {
    const own = createSanitize({ secretNames: ['patientNumber'], openNames: ['page_token'] })
    expect(own({ 'patient-number': '7', nextPatientNumber: '8', pageToken: 'p2', token: 't' })).toEqual({
      'patient-number': '[masked]',
      nextPatientNumber: '[masked]',
      pageToken: 'p2',
      token: '[masked]',
    })
  })
})

describe('hostile values', () => {
  const throwing = {
    get boom(): never {
      throw new Error('boom')
    },
    fine: 1,
  }
  const nameless = {
    get name(): never {
      throw new Error('boom')
    },
    value: 'x',
    other: 1,
  }
  const cyclic: Record<string, unknown> = { a: 1 }
  cyclic.self = cyclic
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const trap = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('no keys')
      },
    },
  )
  class Point {
    readonly x: number = 1
    #hidden = 2
    get sum(): number {
      return this.x + this.#hidden
    }
  }

  test.each<[string, unknown, JsonValue]>([
    ['NUL', 'a\u0000b', 'a\uFFFDb'],
    ['a lone surrogate', 'a\uD800b', 'a\uFFFDb'],
    ['NUL and a lone surrogate in a name', { 'a\u0000\uDC00': 1 }, { 'a\uFFFD\uFFFD': 1 }],
    ['names that become one', { 'a\uD800': 1, 'a\uD801': 2 }, { 'a\uFFFD': 1, 'a\uFFFD~1': 2 }],
    ['a BigInt', 2n ** 70n, '1180591620717411303424'],
    ['a BigInt of 30,000 digits', 10n ** 30_000n, '[truncated: bigint]'],
    ['an integer beyond 2^53', 2 ** 60, 2 ** 60],
    ['no number', NaN, 'NaN'],
    ['negative zero', [-0], [0]],
    ['infinity', -Infinity, '-Infinity'],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['an invalid date', new Date(NaN), '[invalid date]'],
    ['a set', new Set([1, 'a']), [1, 'a']],
    ['a buffer', Buffer.alloc(10), '[binary: 10 bytes]'],
    ['a typed array', new Float64Array(2), '[binary: 16 bytes]'],
    ['an array buffer', new ArrayBuffer(3), '[binary: 3 bytes]'],
    ['a blob', new Blob(['abc']), '[binary: 3 bytes]'],
    ['a stream', new PassThrough(), '[stream]'],
    ['a function', () => 1, '[function]'],
    ['a symbol', Symbol('x'), '[symbol]'],
    ['a promise', Promise.resolve(1), '[promise]'],
    ['a pattern', /a+/, '[pattern: a+]'],
    ['a boxed text', Object('text'), 'text'],
    ['a class instance', new Point(), { x: 1 }],
    ['an object without prototype', Object.assign(Object.create(null) as object, { a: 1 }), { a: 1 }],
    ['undefined', undefined, null],
    ['holes', [undefined, , 1], [null, null, 1]], // eslint-disable-line no-sparse-arrays
    ['a cycle', cyclic, { a: 1, self: '[circular]' }],
    ['a getter that throws', throwing, { boom: '[unreadable]', fine: 1 }],
    ['a label that throws', nameless, { name: '[unreadable]', value: '[masked]', other: 1 }],
    ['toJSON', { toJSON: () => ({ token: 'x', a: 1 }) }, { token: '[masked]', a: 1 }],
    [
      'toJSON that throws',
      {
        toJSON() {
          throw new Error('no')
        },
      },
      '[unreadable]',
    ],
    ['a revoked proxy', { a: revoked.proxy, b: 1 }, { a: '[unreadable]', b: 1 }],
    ['a proxy that throws', { a: trap, b: 1 }, { a: '[unreadable]', b: 1 }],
    [
      'an error of several',
      new AggregateError([new Error('a')], 'both'),
      { name: 'AggregateError', message: 'both', errors: [{ name: 'Error', message: 'a' }] },
    ],
    ['an error', Object.assign(new TypeError('bad'), { code: 'E' }), { name: 'TypeError', message: 'bad', code: 'E' }],
  ])('%s', (_, value, expected) => {
    expect(sanitize(value)).toEqual(expected)
  })

  test('a map or a date that lies about itself is read by its brand', () => {
    const map = Object.assign(new Map([['token', 'x']]), {
      entries: () => {
        throw new Error('no')
      },
    })
    const date = Object.assign(new Date(0), { getTime: () => Infinity, toISOString: () => 'never' })
    expect(sanitize([map, date])).toEqual([{ token: '[masked]' }, '1970-01-01T00:00:00.000Z'])
  })

  test('a field named __proto__ stays a field', () => {
    const copy = sanitize(JSON.parse('{"__proto__":{"isAdmin":true},"a":1}')) as Record<string, JsonValue>
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"isAdmin":true},"a":1}')
    expect(copy.isAdmin).toBeUndefined()
  })

  test('a tree of depth 10,000 is cut and marked', () => {
    let deep: unknown = 'end'
    for (let i = 0; i < 10_000; i++) deep = { deep }
    expect(JSON.stringify(sanitize(deep))).toContain('[truncated: depth]')
  })

  test('a toJSON that never ends is cut', () => {
    const endless = { toJSON: () => ({ a: endless, b: endless }) }
    const fresh = (): unknown => ({ toJSON: () => ({ a: fresh(), b: fresh() }) })
    expect(JSON.stringify(sanitize(endless))).toContain('[circular]')
    expect(JSON.stringify(sanitize(fresh()))).toContain('[truncated: depth]')
  })

  test('a text of 50 MB is cut, marked and costs no more than a short one', () => {
    const text = Buffer.alloc(50_000_000, 'x').toString('latin1')
    expect(sanitize({ text })).toEqual({ text: `${'x'.repeat(8192)}[truncated: 50000000 characters]` })
    const times = Array.from({ length: 5 }, () => {
      const startedAt = performance.now()
      sanitize({ text })
      return performance.now() - startedAt
    })
    // Reading all of it takes 20 ms and more.
    expect(Math.min(...times)).toBeLessThan(10)
  })

  test('many fields and elements are cut and counted', () => {
    const wide = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, i]))
    expect(sanitize(wide)).toMatchObject({ f199: 199, '[truncated]': '100 more' })
    expect(sanitize(wide)).not.toHaveProperty('f200')
    expect((sanitize(Array.from({ length: 300 }, () => 1)) as JsonValue[]).slice(199)).toEqual([
      1,
      '[truncated: 100 more]',
    ])
  })

  test('a tree of too many values or bytes is cut where they are spent', () => {
    const few = createSanitize({ limits: { values: 10 } })
    expect(few(Array.from({ length: 30 }, () => [1]))).toEqual([
      [1],
      [1],
      [1],
      [1],
      ['[truncated: 1 more]'],
      '[truncated: 25 more]',
    ])
    const small = createSanitize({ limits: { bytes: 30 } })
    expect(small({ a: 'x'.repeat(29), b: 'y', c: 'z' })).toEqual({ a: 'x'.repeat(29), '[truncated]': '2 more' })
    expect(small({ a: 'é'.repeat(15), b: 'y' })).toEqual({ a: 'é'.repeat(15), '[truncated]': '1 more' })
    expect(small({ ['n'.repeat(30)]: 1, b: 'y' })).toEqual({ ['n'.repeat(30)]: 1, '[truncated]': '1 more' })
  })

  test('a cut does not split a character', () => {
    const cut = createSanitize({ limits: { textLength: 3 } })
    expect(cut('ab\u{1F600}c')).toBe('ab\uFFFD[truncated: 5 characters]')
  })

  test.each(['depth', 'fields', 'elements', 'textLength', 'values', 'bytes'])(
    'the limit %s must be a positive number',
    name => {
      expect(() => createSanitize({ limits: { [name]: 0 } })).toThrow(`limits.${name}`)
    },
  )
})

const corpus = [
  ['4111111111111111', 'x'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U', 'x'],
  ['Bearer 8d0f3c61b9e24a7c', 'x'],
  ['postgres://app:correct-horse@db.internal/app', 'x'],
  ['-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----', 'x'],
  ['Cookie: sid=5f2b7c; theme=dark', 'x'],
  ['correct-horse', 'password'],
  ['correct-horse', 'clientSecret'],
] as const
const revealing = [
  '4111', 'eyJ', 'dozj', '8d0f3c61', 'correct', 'horse', 'MIIEvQ', 'FAASC', '5f2b7c',
] // prettier-ignore

describe('for any value', () => {
  const anything = fc.anything({
    maxDepth: 6,
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
    withUnicodeString: true,
  })

  test('the result is plain JSON data that PostgreSQL takes', () => {
    fc.assert(
      fc.property(anything, value => {
        const copy = sanitize(value)
        const json = JSON.stringify(copy)
        expect(JSON.parse(json)).toEqual(copy)
        expect(isStorable(copy)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('the argument is left as it was', () => {
    fc.assert(
      fc.property(fc.object({ maxDepth: 4 }), value => {
        const before = structuredClone(value)
        sanitize(deepFreeze(value))
        expect(value).toEqual(before)
      }),
    )
  })

  test('the result is bounded', () => {
    const small = createSanitize({ limits: { depth: 4, values: 50, bytes: 500, textLength: 100 } })
    fc.assert(
      fc.property(fc.array(fc.object({ maxDepth: 6, maxKeys: 20 }), { maxLength: 20 }), value => {
        const copy = small(value)
        expect(depthOf(copy)).toBeLessThanOrEqual(4)
        expect(Buffer.byteLength(JSON.stringify(copy))).toBeLessThan(10_000)
      }),
    )
  })

  test('no secret survives, nor half of one, wherever it stands', () => {
    const around = fc.string({
      unit: fc.constantFrom('a', 'z', ' ', ',', '\n', '.', ';', 'é', '(', '"', '=', ':', '/'),
    })
    fc.assert(
      fc.property(
        fc.constantFrom(...corpus),
        around,
        around,
        fc.array(fc.constantFrom('data', 'items', 'note'), { maxLength: 4 }),
        fc.integer({ min: 0, max: 9000 }),
        ([secret, name], before, after, path, shift) => {
          const isField = name !== 'x'
          const text = isField ? secret : `${'-'.repeat(shift)}${before}${secret}${after}`
          const nested = path.reduce<unknown>((inner, step) => (step === 'items' ? [inner] : { [step]: inner }), {
            [name]: text,
          })
          const json = JSON.stringify(sanitize(nested))
          for (const piece of revealing) expect(json).not.toContain(piece)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

function isStorable(value: JsonValue): boolean {
  if (typeof value === 'string') return Buffer.from(value).toString() === value && !value.includes('\u0000')
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => isStorable(name) && isStorable(inner))
}

function depthOf(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value as Record<string, JsonValue>).map(depthOf))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(deepFreeze)
  }
  return value
}
