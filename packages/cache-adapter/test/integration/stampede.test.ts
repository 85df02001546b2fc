import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { expect, inject, test } from 'vitest'

interface Answer {
  loads: number
  values?: number[]
}

async function answerOf(child: ChildProcess): Promise<Answer> {
  const [answer] = (await once(child, 'message')) as [Answer]
  return answer
}

test('four processes with fifty callers each load a missing value once', async () => {
  const script = new URL('../stampede-process.ts', import.meta.url)
  const args = [inject('memcachedServer'), `stampede${Date.now()}`]
  const children = Array.from({ length: 4 }, () => fork(script, args, { execArgv: [] }))
  try {
    await Promise.all(children.map(answerOf))
    for (let round = 0; round < 5; round += 1) {
      const answers = children.map(answerOf)
      for (const child of children) child.send(`key-${round}`)
      const all = await Promise.all(answers)
      expect(all.map(answer => answer.values)).toEqual(children.map(() => [1]))
      expect(all.reduce((sum, answer) => sum + answer.loads, 0)).toBe(1)
    }
  } finally {
    for (const child of children) child.disconnect()
  }
})
