import { channel } from 'node:diagnostics_channel'
import { describe, expect, test, vi } from 'vitest'
import { collectDecisions, decisionChannel } from '../../src/collection/decision.ts'

function decide(allowed: boolean, permission: string, more: object = {}): void {
  channel(decisionChannel).publish({ allowed, permission, reason: allowed ? 'granted' : 'not-granted', ...more })
}

describe('collectDecisions', () => {
  test('keeps denials, also across awaits, and gives what the work returns', async () => {
    const result = await collectDecisions(async decisions => {
      decide(false, 'document:read')
      await Promise.resolve()
      decide(true, 'document:list')
      return decisions()
    })
    expect(result.denied).toEqual([{ allowed: false, permission: 'document:read', reason: 'not-granted', times: 1 }])
    expect(result.allowed).toEqual([])
  })

  test('counts the same decision and keeps those of another scope or subject apart', () => {
    const { denied } = collectDecisions(decisions => {
      for (let i = 0; i < 3; i++) decide(false, 'document:read', { scope: 'team:7' })
      decide(false, 'document:read', { scope: 'team:8' })
      decide(false, 'document:read', { scope: 'team:8', subjectId: 'u2' })
      return decisions()
    })
    expect(denied.map(({ times }) => times)).toEqual([3, 1, 1])
  })

  test('granted decisions never take the room of denials', () => {
    const { allowed, denied, omitted } = collectDecisions(
      decisions => {
        for (let i = 0; i < 200; i++) decide(true, `document:a${i}`)
        decide(false, 'document:delete')
        return decisions()
      },
      { allowed: true },
    )
    expect(allowed).toHaveLength(50)
    expect(denied).toHaveLength(1)
    expect(omitted).toBe(150)
  })

  test('work inside of other work keeps its own', () => {
    collectDecisions(outer => {
      decide(false, 'a:b')
      collectDecisions(inner => {
        decide(false, 'c:d')
        expect(inner().denied).toMatchObject([{ permission: 'c:d' }])
      })
      expect(outer().denied).toMatchObject([{ permission: 'a:b' }])
    })
  })

  test('two copies of the package in one process keep each decision once', async () => {
    vi.resetModules()
    const copy = await import('../../src/collection/decision.ts')
    expect(copy.collectDecisions).not.toBe(collectDecisions)
    copy.collectDecisions(decisions => {
      decide(false, 'document:read')
      expect(decisions().denied).toMatchObject([{ times: 1 }])
    })
    collectDecisions(decisions => {
      decide(false, 'document:read')
      expect(decisions().denied).toMatchObject([{ times: 1 }])
    })
  })

  test('what is no decision is not kept, and nobody collecting is no error', () => {
    decide(false, 'document:read')
    const result = collectDecisions(decisions => {
      for (const message of [undefined, null, 'text', {}, { allowed: 'no', permission: 'a', reason: 'b' }]) {
        channel(decisionChannel).publish(message)
      }
      return decisions()
    })
    expect(result).toEqual({ denied: [], allowed: [], omitted: 0 })
  })
})
