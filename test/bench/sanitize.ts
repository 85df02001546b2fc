import { bench, do_not_optimize, run, summary } from 'mitata'
import { createSanitize } from '../../packages/audit-log/src/processing/sanitize.ts'

// The row of the published figures: old and new values and metadata, about 1,150 bytes as JSON.
const row = {
  oldValues: {
    id: '0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b',
    title: 'Minutes of the board meeting in October',
    status: 'draft',
    version: 3,
    authorId: '0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1c',
    tags: ['board', 'minutes', '2026'],
    updatedAt: '2026-11-02T09:14:55.120Z',
    isArchived: false,
    reviewedBy: null,
  },
  newValues: {
    id: '0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b',
    title: 'Minutes of the board meeting in October, corrected',
    status: 'submitted',
    version: 4,
    authorId: '0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1c',
    tags: ['board', 'minutes', '2026', 'corrected'],
    updatedAt: '2026-11-24T17:20:00.000Z',
    isArchived: false,
    reviewedBy: '0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1d',
  },
  metadata: {
    requestBytes: 512,
    responseBytes: 1024,
    route: '/api/v1/documents/:id',
    contentType: 'application/json; charset=utf-8',
    password: 'correct horse battery staple',
    decisions: [
      {
        allowed: true,
        permission: 'document:update',
        reason: 'granted',
        grantedBy: ['editor'],
        policyVersion: 42,
        times: 1,
      },
    ],
    note: 'Corrected the list of those present after a remark by the secretary of the board.',
  },
}

const sanitize = createSanitize()

summary(() => {
  bench('serialize alone', () => do_not_optimize(JSON.stringify(row))).baseline(true)
  bench('sanitize', () => do_not_optimize(sanitize(row)))
  bench('sanitize and serialize', () => do_not_optimize(JSON.stringify(sanitize(row))))
})
bench('structuredClone', () => do_not_optimize(structuredClone(row)))
bench('sanitize a text of 8 kB', () => do_not_optimize(sanitize(longText)))
bench('sanitize a text of 50 MB', () => do_not_optimize(sanitize(hugeText)))

const longText = 'The quick brown fox: jumps over=the lazy dog 12345. '.repeat(160).slice(0, 8192)
const hugeText = 'x'.repeat(50_000_000)

console.log(`row: ${JSON.stringify(row).length} bytes`)
await run()
