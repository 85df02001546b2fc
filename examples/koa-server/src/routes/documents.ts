import { koaGuards } from '@countersign/rbac-core/koa'
import Router from '@koa/router'
import type { Knex } from 'knex'
import { v7 as uuid } from 'uuid'
import { Document } from '../models/document.ts'
import { permissions } from '../permissions.ts'
import { Problem } from '../problem.ts'
import { sessionOf } from '../session.ts'
import type { System } from '../system.ts'
import { announceChange, type DocumentChange } from '../tasks.ts'
import { reader, text } from '../validation.ts'

const { requirePermission } = koaGuards(permissions)

const title = text(1, 200)
const body = text(0, 100_000)

const readNew = reader<{ title: string; body: string }>({
  type: 'object',
  properties: { title, body },
  required: ['title', 'body'],
  additionalProperties: false,
})
const readPatch = reader<{ title?: string; body?: string }>({
  type: 'object',
  properties: { title: { ...title, nullable: true }, body: { ...body, nullable: true } },
  minProperties: 1,
  additionalProperties: false,
})
const readParams = reader<{ id: string }>({
  type: 'object',
  properties: { id: { type: 'string', format: 'uuid' } },
  required: ['id'],
})
const readPage = reader<{ limit: number; before?: string }>({
  type: 'object',
  properties: {
    limit: { type: 'integer', minimum: 1, maximum: 100 },
    before: { type: 'string', format: 'uuid', nullable: true },
  },
  required: ['limit'],
  additionalProperties: false,
})

/** The register's documents; each change commits with its audit row and its announcement. */
export function documentRoutes({ knex, outbox }: System): Router {
  const router = new Router({ prefix: '/api/v1/documents' })

  router.get('/', requirePermission('document:read'), async ctx => {
    const { limit = '50', ...rest } = ctx.query
    const page = readPage({ limit: Number(limit), ...rest })
    const before = page.before ?? 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    ctx.body = {
      documents: await Document.query(knex).where('id', '<', before).orderBy('id', 'desc').limit(page.limit),
    }
  })

  router.get('/:id', requirePermission('document:read'), async ctx => {
    ctx.body = await find(knex, ctx.params)
  })

  router.post('/', requirePermission('document:create'), async ctx => {
    const input = readNew(ctx.request.body)
    const { userId } = sessionOf(ctx)
    ctx.body = await knex.transaction(async transaction => {
      const document = await Document.query(transaction)
        .insert({ id: uuid(), ...input, author_id: userId })
        .returning('*')
      await announce(transaction, document.id, 'created')
      return document
    })
    ctx.status = 201
  })

  router.patch('/:id', requirePermission('document:update'), async ctx => {
    const input = readPatch(ctx.request.body)
    ctx.body = await knex.transaction(async transaction => {
      const document = await find(transaction, ctx.params, 'for update')
      if (document.status === 'published') throw new Problem(409, 'PUBLISHED', 'A published document does not change')
      const changed = await document
        .$query(transaction)
        .patch({ ...input, updated_at: new Date() })
        .returning('*')
      await announce(transaction, document.id, 'updated')
      return changed
    })
  })

  router.delete('/:id', requirePermission('document:delete'), async ctx => {
    await knex.transaction(async transaction => {
      const document = await find(transaction, ctx.params, 'for update')
      await document.$query(transaction).delete()
      await announce(transaction, document.id, 'deleted')
    })
    ctx.status = 204
  })

  router.post('/:id/publish', requirePermission('document:publish'), async ctx => {
    const { userId } = sessionOf(ctx)
    ctx.body = await knex.transaction(async transaction => {
      const document = await find(transaction, ctx.params, 'for update')
      if (document.author_id === userId)
        throw new Problem(403, 'FOUR_EYES', 'Somebody else has to publish what you wrote')
      if (document.status === 'published') throw new Problem(409, 'PUBLISHED', 'The document is published already')
      const published = await document
        .$query(transaction)
        .patch({ status: 'published', published_by: userId, updated_at: new Date() })
        .returning('*')
      await announce(transaction, document.id, 'published')
      return published
    })
  })

  async function announce(
    transaction: Knex.Transaction,
    documentId: string,
    change: DocumentChange['change'],
  ): Promise<void> {
    await outbox.enqueue(announceChange, { documentId, change, at: new Date().toISOString() }, { transaction })
  }

  return router
}

async function find(knex: Knex, params: unknown, lock?: 'for update'): Promise<Document> {
  const query = Document.query(knex).findById(readParams(params).id)
  const document = await (lock ? query.forUpdate() : query)
  if (!document) throw new Problem(404, 'NOT_FOUND', 'There is no such document')
  return document
}
