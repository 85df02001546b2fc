import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { peer } from '../../src/objection/cli/peer.ts'
import { runCommand } from '../../src/objection/cli/commands.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rbac-cli-'))
})
afterAll(() => rm(folder, { recursive: true }))

interface Ran {
  code: number
  out: string[]
  err: string[]
}

/** Runs a command on files of these contents; in what it prints, the folder is left out. */
async function run(argv: string[], files: Record<string, string> = {}): Promise<Ran> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const out: string[] = []
  const err: string[] = []
  const to = (lines: string[]) => (line: string) => lines.push(line.replaceAll(`${folder}/`, ''))
  const args = argv.map(word => (/\.(yaml|json)$/.test(word) ? join(folder, word) : word))
  const code = await runCommand(args, { env: {}, print: to(out), printError: to(err) })
  return { code, out, err }
}

const policy = `permissions:
  document: [read, update]
  payment:
    - enter
    - approve
roles:
  viewer:
    permissions: [document:read]
  editor:
    inherits: [viewer]
    permissions: ['document:*']
  clerk: { permissions: [payment:enter] }
  approver: { permissions: [payment:approve] }
separationOfDuty:
  - { name: four-eyes, kind: dynamic, roles: [clerk, approver], atMost: 1 }
`

describe('check', () => {
  const check = (text: string, file = 'p.yaml'): Promise<Ran> => run(['check', file], { [file]: text })

  test('finds nothing in a policy that is right', async () => {
    expect(await check(policy)).toEqual({ code: 0, out: ['nothing found'], err: [] })
  })

  test('finds unknown names and cycles, with file and line', async () => {
    const broken = policy.replace('[viewer]', '[viewer, editor]').replace('payment:enter]', 'paiment:enter]')
    expect(await check(`${broken}  - { name: x, kind: static, roles: [clerk, nobody], atMost: 1 }\n`)).toEqual({
      code: 1,
      out: [
        'p.yaml:12: there is no permission paiment:enter',
        'p.yaml:16: there is no role nobody',
        'p.yaml:10: the roles inherit each other in a circle: editor > editor',
      ],
      err: [],
    })
  })

  test('finds a role that breaks a rule by itself, and a permission that no active role grants', async () => {
    const broken = policy
      .replace('approver: {', 'approver: { inherits: [clerk],')
      .replace("    permissions: ['document:*']", "    isActive: false\n    permissions: ['document:*']")
    expect(await check(broken)).toEqual({
      code: 1,
      out: [
        'p.yaml:14: nobody can activate the role approver: with clerk and approver it breaks the rule four-eyes',
        'p.yaml:2: no active role grants document:update',
      ],
      err: [],
    })
  })

  test.each([
    ['a tab or a bracket too many', 'roles: ]\n', 'p.yaml:1: '],
    ['a key that is there twice', 'permissions: { a: [b] }\nroles: {}\nroles: {}\n', 'p.yaml:3: '],
    [
      'a member it does not know',
      'permissions: { a: [b] }\nroles:\n  x:\n    permisions: [a:b]\n',
      'p.yaml:4: roles.x.permisions is none of',
    ],
    [
      'a name that is no text',
      'permissions: { a: [b] }\nroles: { x: { permissions: [7] } }\n',
      'p.yaml:2: roles.x.permissions[0]: expected a text',
    ],
    ['a malformed permission', 'permissions:\n  - a:b\n  - a:*\n', 'p.yaml:3: permissions "a:*": expected'],
    [
      'a permission that is there twice',
      'permissions:\n  - a:b\n  - a:b\n',
      'p.yaml:3: the permission "a:b" is there twice',
    ],
    ['no permissions', 'roles: {}\n', 'p.yaml:1: permissions: expected a map'],
    [
      'a rule that could never bind',
      `${policy.replace('atMost: 1', 'atMost: 2')}`,
      'p.yaml:15: separationOfDuty[0].atMost: expected',
    ],
  ])('refuses a file with %s, and says where', async (_, text, message) => {
    const { code, out, err } = await check(text)
    expect({ code, out }).toEqual({ code: 2, out: [] })
    expect(err[0]).toContain(message)
  })

  test.each([
    [
      '{\n  "permissions": ["a:b"],\n  "roles": { "x": { "permissions": ["a:b", \n "a:c"] } }\n}',
      1,
      'p.json:4: there is no permission a:c',
    ],
    ['{\n  "permissions": ["a:b"],\n  "roles": { "x":\n {}, "x": {} }\n}', 2, 'p.json:4: "x" is there twice'],
    ['{\n  "permissions": ["a:b"],\n  "roles": oops\n}', 2, 'p.json:3: '],
    [
      '{ "permissions": ["a\\":b", "x,y:z"], "roles": { "constructor": {},\n "__proto__": [] } }',
      2,
      'p.json:2: roles.__proto__: expected a map',
    ],
  ])('reads JSON with its lines, file %#', async (text, code, message) => {
    const ran = await check(text, 'p.json')
    expect(ran.code).toBe(code)
    expect([...ran.out, ...ran.err][0]).toContain(message)
  })
})

describe('test', () => {
  const cases = (text: string): Promise<Ran> => run(['test', 'p.yaml', 'c.yaml'], { 'p.yaml': policy, 'c.yaml': text })

  test('passes when every case comes out as it says', async () => {
    const text = `
- { roles: [editor], permission: document:update, expect: allowed }
- { roles: [{ role: viewer, scope: 'team:7' }], permission: document:read, scope: 'team:7', expect: allowed }
- { roles: [{ role: viewer, scope: 'team:7' }], permission: document:read, scope: 'team:8', expect: denied }
- { roles: [clerk, approver], permission: payment:enter, expect: denied }
- { roles: [clerk, approver], activeRoles: [clerk], permission: payment:enter, expect: allowed }
`
    expect(await cases(text)).toEqual({ code: 0, out: ['5 cases, 0 failed'], err: [] })
  })

  test('tells each case that fails with file, line and the reason', async () => {
    const text = `
- { roles: [viewer], permission: document:update, expect: allowed }
- roles: [editor]
  permission: document:read
  scope: team:7
  expect: denied
- { roles: [clerk, approver], permission: payment:enter, expect: allowed }
`
    expect(await cases(text)).toEqual({
      code: 1,
      out: [
        'c.yaml:2: document:update: expected allowed, got denied (not-granted; would be granted by editor)',
        'c.yaml:3: document:read in team:7: expected denied, got allowed (editor)',
        'c.yaml:7: payment:enter: expected allowed, got denied (the rule four-eyes forbids approver, clerk together)',
        '3 cases, 3 failed',
      ],
      err: [],
    })
  })

  test.each([
    ['- { roles: [viwer], permission: document:read, expect: denied }', 'c.yaml:1: there is no role viwer'],
    ['- { roles: [], permission: document:raed, expect: denied }', 'c.yaml:1: there is no permission document:raed'],
    ['- { roles: [], permission: document:read, expect: yes }', 'c.yaml:1: [0].expect: expected allowed or denied'],
    ['- { roles: [], permission: document:read, expects: denied }', 'c.yaml:1: [0].expects is none of'],
  ])('refuses a case that could pass for the wrong reason: %s', async (text, message) => {
    const { code, err } = await cases(text)
    expect(code).toBe(2)
    expect(err[0]).toContain(message)
  })
})

describe('diff', () => {
  test.each([
    ['gain', 1, 0],
    ['loss', 0, 1],
    ['any', 1, 1],
  ])('--fail-on %s is a gate', async (failOn, forth, back) => {
    const more = policy.replace('[document:read]', '[document:read, payment:enter]')
    const files = { 'a.yaml': policy, 'b.yaml': more }
    expect((await run(['diff', 'a.yaml', 'b.yaml'], files)).code).toBe(0)
    expect((await run(['diff', 'a.yaml', 'b.yaml', '--fail-on', failOn])).code).toBe(forth)
    expect((await run(['diff', 'b.yaml', 'a.yaml', '--fail-on', failOn])).code).toBe(back)
    expect(await run(['diff', 'a.yaml', 'a.yaml', '--fail-on', failOn])).toMatchObject({
      code: 0,
      out: ['no difference'],
    })
  })

  test('refuses a policy whose names do not fit', async () => {
    const files = { 'a.yaml': policy, 'b.yaml': policy.replace('[viewer]', '[viwer]') }
    expect(await run(['diff', 'a.yaml', 'b.yaml'], files)).toEqual({
      code: 2,
      out: [],
      err: ['b.yaml:10: there is no role viwer'],
    })
  })
})

test.each([
  [[], 'usage: countersign-rbac'],
  [['constructor'], 'there is no command constructor'],
  [['check'], 'arguments of check: expected 1, got 0'],
  [['export', 'x'], 'arguments of export: expected 0, got 1'],
  [['check', 'p.yaml', '--yes'], 'check has no option --yes'],
  [['check', 'p.yaml', '--wings'], "Unknown option '--wings'"],
  [['diff', 'p.yaml', 'p.yaml', '--fail-on', 'both'], '--fail-on: expected gain, loss or any'],
  [['check', 'absent.yaml'], 'absent.yaml: cannot be read (ENOENT)'],
  [['who-can', 'a:b'], 'no database: give --database or DATABASE_URL'],
  [['who-can', 'a:b', '--database', 'pg.example:sesame@x'], 'the database is not a URL such as'],
])('does not understand %j, and says why', async (argv, message) => {
  await writeFile(join(folder, 'p.yaml'), policy)
  const { code, out, err } = await run(argv)
  expect({ code, out }).toEqual({ code: 2, out: [] })
  expect(err[0]).toContain(message)
  expect(err.join()).not.toContain('sesame')
})

test('says which optional peer is missing', async () => {
  const absent = 'a-package-that-is-not-there'
  const loading = peer(absent, 'YAML files', () => import(absent))
  await expect(loading).rejects.toThrow(`YAML files need the package ${absent}`)
})

test('--help tells of every command and of the exit codes', async () => {
  const { code, out } = await run(['--help'])
  expect(code).toBe(0)
  for (const word of ['check', 'test', 'diff', 'explain', 'who-can', 'drift', 'export', 'apply', 'exit code']) {
    expect(out.join('\n')).toContain(word)
  }
})
