import { routeInventory } from '@countersign/rbac-core/koa'
import { expect, test } from 'vitest'
import { documentRoutes } from '../src/routes/documents.ts'
import { sessionRoutes } from '../src/routes/session.ts'
import { userRoutes } from '../src/routes/users.ts'
import type { System } from '../src/system.ts'

// Registering routes touches no part of the system.
const system = {} as System

test('every route states what it requires, but for signing in, looking at oneself and signing out', () => {
  const routes = [sessionRoutes, documentRoutes, userRoutes].flatMap(make => routeInventory(make(system)))
  expect(routes.map(({ method, path, requires }) => `${method} ${path}: ${requires ?? 'anybody'}`)).toEqual([
    'POST /api/v1/session: anybody',
    'GET /api/v1/session: anybody',
    'DELETE /api/v1/session: anybody',
    'GET /api/v1/documents: document:read',
    'GET /api/v1/documents/:id: document:read',
    'POST /api/v1/documents: document:create',
    'PATCH /api/v1/documents/:id: document:update',
    'DELETE /api/v1/documents/:id: document:delete',
    'POST /api/v1/documents/:id/publish: document:publish',
    'GET /api/v1/users: user:read',
    'POST /api/v1/users: user:manage',
    'PUT /api/v1/users/:id/roles/:role: user:manage',
    'DELETE /api/v1/users/:id/roles/:role: user:manage',
  ])
})
