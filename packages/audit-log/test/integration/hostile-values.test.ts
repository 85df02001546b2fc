import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSanitize } from '../../src/index.ts'
import { auditedDatabase, type AuditedDatabase } from './support.ts'

let db: AuditedDatabase
beforeAll(async () => {
  db = await auditedDatabase()
})
afterAll(() => db.close())

const anything = fc.anything({
  maxDepth: 5,
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
})
const anyText = fc.string({
  unit: fc.constantFrom('a', '\u0000', '\uD800', '\uDC00', '\u{1F600}', '\\u0000', '"', '\n', 'é'),
})

describe('hostile values', () => {
  test('whatever the values are, the event is stored and read back as it was sanitized', async () => {
    const sanitize = createSanitize()
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { minLength: 1, maxLength: 5 }), anyText, async (values, text) => {
        const resource = { type: 'thing', id: randomUUID(), repr: text }
        const metadata = { values, text }
        await db.audit.recordDurably({ action: 'thing.change', resource, message: text, metadata, newValues: { text } })
        const [row] = await db.rows({ resourceType: 'thing', resourceId: resource.id })
        expect(row?.metadata).toEqual(sanitize(metadata))
        expect(row?.newValues).toEqual(sanitize({ text }))
      }),
      { numRuns: 100 },
    )
  })

  test('the widest values fit, and a flood of them is bounded', async () => {
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`field${i}`, 'é'.repeat(10_000)]))
    const id = randomUUID()
    const event = { action: 'thing.change', resource: { type: 'thing', id }, oldValues: wide, newValues: wide }
    await db.audit.recordDurably({ ...event, metadata: { wide, text: 'x'.repeat(50_000_000) } })
    const [row] = await db.rows({ resourceType: 'thing', resourceId: id })
    expect(Buffer.byteLength(JSON.stringify(row))).toBeLessThan(3 * 70_000)
    expect(row?.newValues).toHaveProperty('[truncated]')
  })

  test('texts in the row itself are sanitized before they are cut', async () => {
    const id = randomUUID()
    const message = `${'x'.repeat(1985)} 4111 1111 1111 1111`
    await db.audit.recordDurably({ action: 'thing.change', resource: { type: 'thing', id }, message })
    const [row] = await db.rows({ resourceType: 'thing', resourceId: id })
    expect(row?.message).not.toContain('4111')
  })

  test('an event that code has got wrong is refused, naming the field', async () => {
    await expect(db.audit.recordDurably({ action: 'no action' })).rejects.toMatchObject({
      code: 'AUDIT_EVENT_INVALID',
      field: 'action',
    })
  })
})
