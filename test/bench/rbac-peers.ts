/** The libraries that the benchmark of rbac-core compares with, their objects built before the clock starts. */
import { AbilityBuilder, createMongoAbility } from '@casl/ability'
import { createAccessControl, type Role } from 'better-auth/plugins/access'
import { newCachedEnforcer, newEnforcer, newModelFromString, StringAdapter } from 'casbin'
import type { PolicyRecord } from '@countersign/rbac-core'

/** What is asked, and the answer that the definition of the world gives. */
export interface Question {
  readonly user: string
  readonly roles: readonly string[]
  readonly permission: string
  readonly expected: boolean
}

/** Answers question number `at`, its names split and its objects found beforehand. */
export type Peer = SyncPeer | AsyncPeer

interface SyncPeer {
  readonly kind: 'sync'
  readonly name: string
  readonly ask: (at: number) => boolean
}

interface AsyncPeer {
  readonly kind: 'async'
  readonly name: string
  readonly ask: (at: number) => Promise<boolean>
}

const parts = (permission: string): [resource: string, action: string] => {
  const [resource = '', action = ''] = permission.split(':')
  return [resource, action]
}

const model = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act`

/** The plain and the cached enforcer, with the assignments of the users who are asked about. */
export async function casbin(record: PolicyRecord, questions: readonly Question[]): Promise<Peer[]> {
  const grants = record.roles.flatMap(({ name, permissions }) =>
    permissions.map(permission => `p, ${name}, ${parts(permission).join(', ')}`),
  )
  const holders = new Map(questions.map(({ user, roles }) => [user, roles]))
  const held = [...holders].flatMap(([user, roles]) => [...new Set(roles)].map(role => `g, ${user}, ${role}`))
  const policy = [...grants, ...held].join('\n')
  const plain = await newEnforcer(newModelFromString(model), new StringAdapter(policy))
  const cached = await newCachedEnforcer(newModelFromString(model), new StringAdapter(policy))
  const asked = questions.map(({ user, permission }) => [user, ...parts(permission)])
  return [
    { name: 'casbin enforceSync', kind: 'sync', ask: at => plain.enforceSync(...asked[at]!) },
    { name: 'casbin cached, warm', kind: 'async', ask: at => cached.enforce(...asked[at]!) },
  ]
}

/** One ability for each user, built before and kept. */
export function casl(record: PolicyRecord, questions: readonly Question[]): SyncPeer {
  const roles = new Map(record.roles.map(role => [role.name, role.permissions]))
  const abilities = new Map<string, ReturnType<typeof createMongoAbility>>()
  for (const { user, roles: held } of questions) {
    if (abilities.has(user)) continue
    const { can, build } = new AbilityBuilder(createMongoAbility)
    for (const permission of new Set(held.flatMap(role => roles.get(role) ?? []))) {
      const [resource, action] = parts(permission)
      can(action, resource)
    }
    abilities.set(user, build())
  }
  const asked = questions.map(({ user, permission }) => ({ ability: abilities.get(user)!, parts: parts(permission) }))
  return {
    name: 'CASL, ability kept',
    kind: 'sync',
    ask: at => {
      const { ability, parts } = asked[at]!
      return ability.can(parts[1], parts[0])
    },
  }
}

/** A role answers for itself only, so a user's roles are asked in turn. */
export function betterAuth(record: PolicyRecord, questions: readonly Question[]): SyncPeer {
  const statementsOf = (permissions: Iterable<string>): Record<string, string[]> => {
    const statements: Record<string, string[]> = {}
    for (const permission of permissions) {
      const [resource, action] = parts(permission)
      ;(statements[resource] ??= []).push(action)
    }
    return statements
  }
  const control = createAccessControl(statementsOf(new Set(record.roles.flatMap(role => role.permissions))))
  const roles = new Map<string, Role>(
    record.roles.map(({ name, permissions }) => [name, control.newRole(statementsOf(permissions)) as Role]),
  )
  const asked = questions.map(({ roles: held, permission }) => {
    const [resource, action] = parts(permission)
    return { roles: held.map(name => roles.get(name)!), request: { [resource]: [action] } }
  })
  return {
    name: 'better-auth access',
    kind: 'sync',
    ask: at => {
      const { roles, request } = asked[at]!
      return roles.some(role => role.authorize(request).success)
    },
  }
}
