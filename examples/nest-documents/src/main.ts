import 'reflect-metadata'
import { currentAccess } from '@countersign/rbac-core'
import { nestAccess, nestGuards, routeInventory } from '@countersign/rbac-core/nest'
import { Controller, Get, Module, Param, Post } from '@nestjs/common'
import { ModulesContainer, NestFactory } from '@nestjs/core'
import { authorizer, permissions } from './policy.ts'

const { requireAccess, requirePermission } = nestGuards(permissions)
const createInTeam = requirePermission('document:create', { scope: request => `team:${request.params.team}` })

@Controller('health')
class Health {
  @Get()
  check() {
    return { up: true }
  }
}

@Controller('documents')
@requireAccess({ anyOf: ['document:read', { role: 'editor' }] })
class Documents {
  @Get(':id')
  read(@Param('id') id: string) {
    return { id, reader: currentAccess()?.subjectId }
  }
}

@Controller('teams/:team/documents')
class TeamDocuments {
  @Post()
  @createInTeam
  create(@Param('team') team: string) {
    return { team, author: currentAccess()?.subjectId }
  }
}

@Module({ controllers: [Health, Documents, TeamDocuments] })
class App {}

const app = await NestFactory.create(App, { logger: ['error', 'warn'] })
app.use(nestAccess({ authorizer, subjectId: request => request.headers['x-user']?.toString() }))
await app.listen(Number(process.env.PORT ?? 3000))
for (const { method, path, requires } of routeInventory(app.get(ModulesContainer))) {
  process.stdout.write(`${method} ${path}: ${requires ?? 'anybody'}\n`)
}
process.stdout.write(`http://localhost:${new URL(await app.getUrl()).port}\n`)
