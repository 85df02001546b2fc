import { expect, test } from 'vitest'
import type { AuditEvent } from '../src/audit-event.ts'
import { createSanitize } from '../src/processing/sanitize.ts'
import { auditRow } from '../src/storage/audit-row.ts'
import { toCsv, toJsonLines } from '../src/storage/export-rows.ts'

const row = (event: Partial<AuditEvent>) => auditRow({ action: 'a.b', ...event }, undefined, createSanitize())

async function textOf(lines: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const line of lines) text += line
  return text
}

const cellsOf = async (event: Partial<AuditEvent>): Promise<Record<string, string>> => {
  const [head = '', line = ''] = (await textOf(toCsv([row(event)]))).split('\r\n')
  const cells = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
  return Object.fromEntries(head.split(',').map((name, i) => [name, cells[i] ?? '']))
}

test('each line of JSON is a row', async () => {
  const rows = [row({ message: 'one\ntwo' }), row({ metadata: { a: 1 } })]
  const lines = (await textOf(toJsonLines(rows))).trimEnd().split('\n')
  expect(lines.map(line => JSON.parse(line) as unknown)).toEqual(rows)
})

test('cells of CSV are quoted where they must be, and values are JSON', async () => {
  const cells = await cellsOf({ message: 'a "b", c', newValues: { x: [1, null] }, resource: { type: 't', id: '5' } })
  expect(cells).toMatchObject({ message: 'a "b", c', newValues: '{"x":[1,null]}', resourceId: '5', oldValues: '' })
})

test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '\r=1', '＝1', '\n+1'])(
  'a text that a spreadsheet would run is made harmless: %j',
  async text => {
    const csv = await textOf(toCsv([row({ message: text, resource: { type: 't', repr: text } })]))
    expect(csv.split(/[,"]/).filter(cell => cell.endsWith(text.trim()) && cell.startsWith("'"))).toHaveLength(2)
  },
)

test('a text that is no formula stays as it is', async () => {
  expect((await cellsOf({ message: 'a=1 - b' })).message).toBe('a=1 - b')
})
