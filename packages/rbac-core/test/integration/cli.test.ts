import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRoleAdmin, migrations, syncCatalog, type RoleAdmin } from '../../src/objection/index.ts'
import { emptyDatabase, insertUser, migratedDatabase, permissions, type TestDatabase } from './database.ts'

const program = fileURLToPath(new URL('../../src/objection/cli/index.ts', import.meta.url))

let database: TestDatabase
let admin: RoleAdmin<(typeof permissions.names)[number]>
let folder: string
let ann: string
let bob: string
let root: string

beforeAll(async () => {
  database = await migratedDatabase()
  admin = createRoleAdmin({ knex: database.knex, permissions })
  folder = await mkdtemp(join(tmpdir(), 'rbac-cli-'))
})

beforeEach(async () => {
  const { knex } = database
  await knex.raw('truncate users, roles, permissions, separation_rules cascade')
  await syncCatalog(knex, permissions)
  ann = await insertUser(knex)
  bob = await insertUser(knex)
  root = await insertUser(knex, { is_superuser: true })
  await admin.createRole({ name: 'viewer', description: 'Reads: all', permissions: ['document:read'] })
  await admin.createRole({ name: 'editor', permissions: ['document:update', 'user:*'], inherits: ['viewer'] })
  await admin.createRole({ name: 'publisher', permissions: ['document:publish'] })
  await admin.createRole({ name: 'retired', permissions: ['*'] })
  await admin.deactivateRole('retired')
  await admin.addSeparationRule({ name: 'four-eyes', kind: 'static', roles: ['publisher', 'editor'], atMost: 1 })
  await admin.assign(ann, 'editor')
  await admin.assign(bob, 'viewer', { scope: 'team:7' })
})

afterAll(async () => {
  await database.close()
  await rm(folder, { recursive: true })
})

interface Ran {
  code: number
  out: string[]
  err: string[]
}

/** Runs the program as a process of its own; `url` is the test's database unless given. */
function run(argv: string[], url: string = database.url): Promise<Ran> {
  const args = ['--conditions=@countersign/source', program, ...argv]
  const lines = (text: string): string[] => text.replaceAll(`${folder}/`, '').trimEnd().split('\n')
  return new Promise(resolve => {
    execFile(process.execPath, args, { env: { ...process.env, DATABASE_URL: url } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), out: lines(stdout), err: lines(stderr) })
    })
  })
}

async function file(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text)
  return join(folder, name)
}

const exported = `permissions:
  document:
    - create
    - delete
    - publish
    - read
    - update
  user:
    - manage
    - read
roles:
  editor:
    inherits:
      - viewer
    permissions:
      - document:update
      - user:*
  publisher:
    permissions:
      - document:publish
  retired:
    isActive: false
    permissions:
      - "*"
  viewer:
    description: "Reads: all"
    permissions:
      - document:read
separationOfDuty:
  - name: four-eyes
    kind: static
    roles:
      - editor
      - publisher
    atMost: 1`

describe('questions', () => {
  test('explain an allow by the way from role to permission', async () => {
    expect(await run(['explain', ann, 'document:read'])).toMatchObject({
      code: 0,
      out: ['allowed: granted', 'by: editor > viewer'],
    })
  })

  test('explain a denial with what would grant it, what is in the way and who may grant it', async () => {
    expect(await run(['explain', ann, 'document:publish'])).toMatchObject({
      code: 1,
      out: [
        'denied: not-granted',
        'would be granted by: publisher',
        'in the way: the rule four-eyes forbids publisher beside editor',
        `may be granted by: ${root}`,
      ],
    })
  })

  test('name those who may grant there, holders of the administrative permission too', async () => {
    const holder = await insertUser(database.knex)
    const manager = await insertUser(database.knex)
    await admin.createRole({ name: 'manager', permissions: ['user:manage'] })
    await admin.assign(holder, 'publisher', { scope: 'team:7' })
    await admin.assign(manager, 'manager')
    const lastOf = async (...argv: string[]): Promise<string[]> => {
      const { out } = await run(['explain', bob, 'document:publish', ...argv])
      return /^may be granted by: (.*)$/.exec(out.at(-1)!)?.[1]?.split(', ') ?? []
    }
    expect(await lastOf()).toEqual([root])
    expect(await lastOf('--scope', 'team:7')).toEqual([holder, root].sort())
    // Ann's role has user:*.
    expect(await lastOf('--administrative-permission', 'user:manage')).toEqual([ann, manager, root].sort())
  })

  test('ask in a scope', async () => {
    expect((await run(['explain', bob, 'document:read', '--scope', 'team:7'])).code).toBe(0)
    const elsewhere = await run(['explain', bob, 'document:read', '--scope', 'team:8'])
    expect(elsewhere.code).toBe(1)
    expect(elsewhere.out).toContain('in the way: viewer is held in team:7 only')
    expect((await run(['who-can', 'document:read', '--scope', 'team:8'])).out.join()).not.toContain(bob)
  })

  test('list everybody who has a permission', async () => {
    const { code, out } = await run(['who-can', 'document:read'])
    expect(code).toBe(0)
    expect(out.sort()).toEqual(
      [`${ann} everywhere, by editor`, `${bob} in team:7, by viewer`, `${root} everywhere, as superuser`].sort(),
    )
  })

  test('list more users than one page holds, each once', async () => {
    await database.knex.raw(
      `insert into users (username, is_superuser) select 'root' || n, true from generate_series(1, 2000) n`,
    )
    const { out } = await run(['who-can', 'document:delete'])
    expect([out.length, new Set(out).size]).toEqual([2001, 2001])
  })

  test('explain a session that a dynamic rule forbids', async () => {
    const roles = ['publisher', 'viewer']
    await admin.addSeparationRule({ name: 'apart', kind: 'dynamic', roles, atMost: 1 })
    for (const role of roles) await admin.assign(bob, role)
    expect(await run(['explain', bob, 'document:read'])).toMatchObject({
      code: 1,
      out: ['denied: separation-of-duty', /^Rule "apart" lets a subject activate at most 1/],
    })
  })

  test('about a permission or user that nobody knows', async () => {
    expect(await run(['who-can', 'document:raed'])).toMatchObject({ code: 2, err: [/^UNKNOWN_PERMISSION: /] })
    expect(await run(['explain', 'nobody', 'document:read'])).toMatchObject({
      code: 1,
      out: ['denied: unknown-subject'],
    })
  })
})

describe('drift', () => {
  test('is none after a sync', async () => {
    const policy = await file('p.yaml', 'permissions: [document:read]\n')
    await database
      .knex('permissions')
      .whereNotIn('name', ['document:read', 'document:*', '*'])
      .update({ is_system: false })
    await database.knex('permissions').whereNotIn('name', ['document:read', 'document:*', '*']).delete()
    expect(await run(['drift', policy])).toMatchObject({ code: 0, out: ['no drift'] })
  })

  test('is told both ways, with the roles that grant what the file does not know', async () => {
    await database.knex('permissions').where('name', 'document:read').update({ is_active: false })
    const names = ['document:read', 'document:create', 'document:update', 'document:delete', 'document:new']
    const policy = await file('p.json', JSON.stringify({ permissions: names }, undefined, 1))
    expect(await run(['drift', policy])).toMatchObject({
      code: 1,
      out: [
        'p.json:7: document:new has no row in the database',
        'database: document:publish is not in p.json, and is granted by publisher',
        'database: user:manage is not in p.json',
        'database: user:read is not in p.json',
        'database: user:* is not in p.json, and is granted by editor',
        'database: document:read is switched off, so that nobody has it but superusers',
      ],
    })
  })
})

describe('export and apply', () => {
  test('write a policy that reads back as the same', async () => {
    const { code, out } = await run(['export'])
    expect({ code, text: out.join('\n') }).toEqual({ code: 0, text: exported })
    const policy = await file('p.yaml', exported)
    expect(await run(['diff', policy, '--fail-on', 'any'])).toMatchObject({ code: 0, out: ['no difference'] })
    expect((await run(['apply', policy, '--yes'])).out).toEqual(['users who gain: 0, who lose: 0', 'written'])
    expect((await run(['export'])).out.join('\n')).toBe(exported)
  })

  test('tell what a policy cannot say', async () => {
    await database.knex('permissions').where('name', 'document:read').update({ is_active: false })
    const { out } = await run(['export'])
    expect(out[0]).toBe('# Switched off in the database, which a policy cannot say: document:read')
    expect(out.slice(1).join('\n')).toBe(exported)
  })

  const changed = `permissions:
  document: [create, delete, publish, read, update, archive]
  user: [manage, read]
roles:
  viewer: { permissions: [], inherits: [editor] }
  editor: { permissions: [document:update, document:archive], description: Writes }
  retired: { permissions: ['*'] }
  archivist: { permissions: [document:archive], isActive: false }
separationOfDuty:
  - { name: four-eyes, kind: static, roles: [archivist, editor], atMost: 1 }
`
  const difference = [
    '+ permission document:archive',
    '+ role archivist',
    '~ role editor',
    '    + document:archive',
    '    - document:read',
    '    - user:manage',
    '    - user:read',
    '- role publisher',
    '    - document:publish',
    '~ role retired',
    '    + document:archive',
    '    + document:create',
    '    + document:delete',
    '    + document:publish',
    '    + document:read',
    '    + document:update',
    '    + user:manage',
    '    + user:read',
    '~ role viewer',
    '    + document:archive',
    '    + document:update',
    '    - document:read',
    '~ rule four-eyes',
    '~ role viewer: permissions, inherits',
    '~ role editor: permissions, inherits, description',
    '~ role retired: active',
    '~ role archivist: inactive',
    'users who gain: 2, who lose: 2',
    '    document:archive: 2 gain, 0 lose',
    '    document:read: 0 gain, 2 lose',
    '    document:update: 1 gain, 0 lose',
    '    user:manage: 0 gain, 1 lose',
    '    user:read: 0 gain, 1 lose',
  ]

  test('a dry run tells all that would change and writes nothing', async () => {
    const policy = await file('p.yaml', changed)
    const { code, out } = await run(['apply', policy])
    expect({ code, out }).toEqual({ code: 0, out: [...difference, 'nothing was written; --yes writes it'] })
    expect((await run(['export'])).out.join('\n')).toBe(exported)
  })

  test('--yes writes what the dry run told, and keeps what the file does not mention', async () => {
    const policy = await file('p.yaml', changed)
    expect((await run(['apply', policy, '--yes'])).out).toEqual([...difference, 'written'])
    expect(await run(['diff', policy, '--fail-on', 'any'])).toMatchObject({ code: 0, out: ['no difference'] })
    expect(await run(['drift', policy])).toMatchObject({ code: 0 })
    const roles = await admin.roles()
    expect(roles.map(role => [role.name, role.description, role.isActive])).toEqual([
      ['archivist', '', false],
      ['editor', 'Writes', true],
      ['retired', '', true],
      ['viewer', 'Reads: all', true],
    ])
    expect((await admin.rolesOf(bob)).map(({ role, scope }) => [role, scope])).toEqual([['viewer', 'team:7']])
  })

  test('two at once take turns, and the second finds nothing to do', async () => {
    const policy = await file('p.yaml', changed)
    const ran = await Promise.all([1, 2].map(() => run(['apply', policy, '--yes'])))
    expect(ran.map(({ code, out }) => [code, out.length]).sort()).toEqual([
      [0, 2],
      [0, difference.length + 1],
    ])
  })

  test('a change that is refused is refused by the dry run too, and leaves nothing behind', async () => {
    await admin.createRole({ name: 'owner', permissions: [], isSystem: true })
    const withoutOwner = await file('p.yaml', changed)
    const broken = await file(
      'q.yaml',
      `${exported}\n  - { name: two, kind: static, roles: [viewer, editor], atMost: 1 }\n`.replace(
        'separationOfDuty',
        '  owner: {}\nseparationOfDuty',
      ),
    )
    for (const flags of [[], ['--yes']]) {
      expect(await run(['apply', withoutOwner, ...flags])).toMatchObject({ code: 2, err: [/^SYSTEM_ROLE: /] })
      expect(await run(['apply', broken, ...flags])).toMatchObject({ code: 2, err: [/^SEPARATION_OF_DUTY: /] })
    }
    expect((await run(['export'])).out.join('\n')).toBe(
      exported.replace('  publisher', '  owner:\n    permissions: []\n  publisher'),
    )
  })

  test('fill a database that is empty but for its tables, whose users have a table of their own', async () => {
    const fresh = await emptyDatabase()
    try {
      await fresh.knex.raw('create table accounts (key bigint primary key, enabled boolean not null)')
      const users = { table: 'accounts', id: 'key', isActive: 'enabled', isSuperuser: false } as const
      await fresh.knex.migrate.latest(migrations({ users }))
      await fresh.knex.raw('insert into accounts values (7, true), (8, false)')
      const own = ['--users-table', 'accounts', '--users-id', 'key', '--users-active', 'enabled', '--users-superuser=']
      const policy = await file('p.yaml', exported)
      expect(await run(['who-can', 'document:read', ...own], fresh.url)).toMatchObject({
        code: 2,
        err: [/has no permissions/],
      })
      expect((await run(['apply', policy, '--yes', ...own], fresh.url)).code).toBe(0)
      expect((await run(['export'], fresh.url)).out.join('\n')).toBe(exported)
      for (const id of ['7', '8']) await createRoleAdmin({ knex: fresh.knex, permissions, users }).assign(id, 'viewer')
      expect((await run(['who-can', 'document:read', ...own], fresh.url)).out).toEqual(['7 everywhere, by viewer'])
      expect((await run(['explain', '7', 'document:read', ...own], fresh.url)).code).toBe(0)
    } finally {
      await fresh.close()
    }
  })
})

describe('a database that cannot be asked', () => {
  test('is told without its password', async () => {
    const { knex } = database
    await knex.raw(`create role stranger login password 'sesame-42'`)
    const url = new URL(database.url)
    url.username = 'stranger'
    url.password = 'sesame-42'
    url.pathname = '/absent_sesame-42'
    const absent = await run(['export'], url.href)
    url.port = '1'
    const closed = await run(['export', '--database', url.href])
    await knex.raw('drop role stranger')
    for (const { code, out, err } of [absent, closed]) {
      expect({ code, out, lines: err.length }).toEqual({ code: 2, out: [''], lines: 1 })
      expect(err[0]).toMatch(/^the database at [\w.:]+ refused: /)
      expect(err[0]).not.toContain('sesame-42')
    }
  })

  test('is told when it has not been migrated', async () => {
    const fresh = await emptyDatabase()
    expect(await run(['export'], fresh.url)).toMatchObject({ code: 2, err: [/^the database has no RBAC tables/] })
    await fresh.close()
  })
})
