import 'reflect-metadata'
import { currentAccess } from '@countersign/rbac-core'
import { nestAccess, nestGuards, routeInventory, routeProblems } from '@countersign/rbac-core/nest'
import { Body, Controller, Get, HttpCode, Module, Post, Req, type LoggerService } from '@nestjs/common'
import { ModulesContainer, NestFactory } from '@nestjs/core'
import type { Request } from 'express'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { watchFailures } from './failures.ts'
import { brokenScope, laterBrokenScope, permissions, subjectOf, type Serve } from './served-app.ts'

export const serveNest: Serve = async ({ authorizer, reach, report }) => {
  const { requireAccess, requirePermission, requireRole } = nestGuards(permissions)

  class Documents {
    answer(request: Request, body?: object): object {
      reach(request.path)
      return { subject: currentAccess()?.subjectId, ...body }
    }
    async later(request: Request): Promise<object> {
      await setTimeout(5)
      return this.answer(request)
    }
  }
  /** Nest's decorators are of the legacy kind, and this file is compiled in both modes: so they are called. */
  const route = (name: string, decorators: MethodDecorator[], parameters: ParameterDecorator[], from = 'answer') => {
    const method = Object.getOwnPropertyDescriptor(Documents.prototype, from)?.value as (...args: unknown[]) => unknown
    const descriptor = {
      configurable: true,
      value: function (this: Documents, ...args: unknown[]) {
        return method.apply(this, args)
      },
    }
    Object.defineProperty(Documents.prototype, name, descriptor)
    for (const decorate of decorators) decorate(Documents.prototype, name, descriptor)
    parameters.forEach((decorate, index) => decorate(Documents.prototype, name, index))
  }
  const inTeam = requirePermission('document:publish', { scope: request => `team:${request.params.team}` })
  const review = requireAccess({ allOf: ['document:read', { not: { role: 'publisher' } }] })
  route('health', [Get('health')], [Req()])
  route('read', [Get('documents/:id'), requirePermission('document:read')], [Req()])
  route('publish', [Post('documents'), HttpCode(200), requirePermission('document:publish')], [Req(), Body()])
  route('team', [Get('teams/:team'), inTeam], [Req()], 'later')
  route('review', [Post('review'), HttpCode(200), review], [Req()])
  route('role', [Get('role'), requireRole('viewer')], [Req()])
  route('broken', [Get('broken'), requirePermission('document:read', { scope: brokenScope })], [Req()])
  route('brokenLater', [Get('broken/later'), requirePermission('document:read', { scope: laterBrokenScope })], [Req()])
  Controller()(Documents)
  class App {}
  Module({ controllers: [Documents] })(App)

  const silent = (): void => undefined
  const logger: LoggerService = { log: silent, warn: silent, error: (...facts) => report(inspect(facts)) }
  const app = await NestFactory.create(App, { logger, forceCloseConnections: true })
  app.use(nestAccess({ authorizer, subjectId: request => subjectOf(request.headers['x-user']) }))
  const unwatch = watchFailures(report)
  await app.listen(0, '127.0.0.1')
  return {
    url: await app.getUrl(),
    close: async () => {
      unwatch()
      await app.close()
    },
    routeInventory: () => routeInventory(app.get(ModulesContainer)),
    routeProblems: options => routeProblems(app.get(ModulesContainer), options),
  }
}
