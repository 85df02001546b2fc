import express, { type ErrorRequestHandler, type Express } from 'express'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { expressAudit } from '../../src/express/index.ts'
import { MemoryLog } from '../support/memory-log.ts'
import { deny, listen } from './frameworks/served-app.ts'

let log = new MemoryLog()
beforeEach(() => {
  log = new MemoryLog()
})

async function serve(use: (app: Express) => void): Promise<string> {
  const app = express()
  app.set('env', 'test')
  app.use(expressAudit({ audit: log, reads: true }))
  use(app)
  const { origin, close } = await listen(app)
  onTestFinished(close)
  return origin
}

/** Holds the rows back until the returned function is called. */
function holdRows(): () => void {
  let release: (() => void) | undefined
  log.beforeStored = new Promise<void>(resolve => (release = resolve))
  return () => release?.()
}

test('a handler that answers and then fails has answered, once and as it was', async () => {
  const handled: unknown[] = []
  const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
    handled.push(error)
    res.status(500).set('x-own', 'error').json({ error: 'a second answer' })
  }
  const origin = await serve(app => {
    app.post('/', (_req, res) => {
      res.status(201).set('x-own', 'answer').json({ answer: 'the first' })
      throw new Error('too late')
    })
    app.use(answerError)
  })
  const response = await fetch(origin, { method: 'POST' })
  expect(response.status).toBe(201)
  expect(response.headers.get('x-own')).toBe('answer')
  expect(await response.json()).toEqual({ answer: 'the first' })
  expect(handled).toHaveLength(1)
  expect(log.events).toMatchObject([{ request: { status: 201 } }])
})

test('an answer whose head the handler wrote itself is sent as it was, and cut off where it cannot be recorded', async () => {
  const origin = await serve(app => {
    app.get('/', (_req, res) => {
      res.writeHead(202, { 'x-own': '1' }).end('by hand')
    })
  })
  const response = await fetch(origin)
  expect([response.status, response.headers.get('x-own'), await response.text()]).toEqual([202, '1', 'by hand'])
  log.failure = new Error('down')
  await expect(fetch(origin)).rejects.toThrow()
})

test('headers that are flushed early wait for the row too', async () => {
  const release = holdRows()
  const origin = await serve(app => {
    app.get('/', async (_req, res) => {
      res.type('text/event-stream').flushHeaders()
      await setTimeout(5)
      res.write('data: 1\n\n')
      res.end()
    })
  })
  const answer = fetch(origin)
  expect(await Promise.race([answer.then(() => 'answered'), setTimeout(50, 'waiting')])).toBe('waiting')
  release()
  const response = await answer
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  expect(await response.text()).toBe('data: 1\n\n')
  expect(log.rows).toHaveLength(1)
})

test('a writer is asked to wait and told to go on', async () => {
  const chunk = 'x'.repeat(1000)
  const origin = await serve(app => {
    app.get('/', async (_req, res) => {
      for (let sent = 0; sent < 50; sent++) if (!res.write(chunk)) await once(res, 'drain')
      res.end()
    })
  })
  expect(await (await fetch(origin)).text()).toBe(chunk.repeat(50))
})

test('denials after the first byte are recorded before the last', async () => {
  const origin = await serve(app => {
    app.get('/', async (_req, res) => {
      res.write('page ')
      await setTimeout(5)
      deny('document:read')
      res.end('without a part')
    })
  })
  expect(await (await fetch(origin)).text()).toBe('page without a part')
  expect(log.actions).toEqual(['http.request', 'authz_fail'])
  expect(new Set(log.rows.map(({ context }) => context.correlationId)).size).toBe(1)
})

test('files and redirects of Express are sent as ever', async () => {
  const origin = await serve(app => {
    app.get('/file', (_req, res) => {
      res.sendFile(import.meta.filename)
    })
    app.get('/elsewhere', (_req, res) => {
      res.redirect('/file')
    })
  })
  const response = await fetch(`${origin}/elsewhere`)
  expect(await response.text()).toContain('files and redirects of Express')
  expect(log.events.map(({ request }) => request?.status)).toEqual([302, 200])
})
