import { parseArgs } from 'node:util'
import { RbacError } from '../../errors.ts'
import type { UsersTable } from '../users-table.ts'
import { applyPolicy } from './apply-policy.ts'
import { runCases } from './cases.ts'
import { withDatabase, type Target } from './database.ts'
import { policyYaml } from './export-policy.ts'
import { findingsOf, readPolicy } from './findings.ts'
import { InputError } from './input-error.ts'
import { changesOf, diffLines, diffPolicies } from './policy-diff.ts'
import { compiled, policyOf } from './policy-file.ts'
import { driftLines, explainUser, whoCan } from './questions.ts'
import { readSource } from './source-file.ts'
import { storedPolicy } from './stored-policy.ts'
import { usage } from './usage.ts'

const optionTypes = {
  database: { type: 'string' },
  scope: { type: 'string' },
  'fail-on': { type: 'string' },
  'administrative-permission': { type: 'string' },
  yes: { type: 'boolean' },
  help: { type: 'boolean' },
  'users-table': { type: 'string', default: 'users' },
  'users-id': { type: 'string' },
  'users-active': { type: 'string' },
  'users-superuser': { type: 'string' },
} as const

/** What a command needs of the world. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly print: (line: string) => void
  readonly printError: (line: string) => void
}

interface Request {
  readonly target: Target
  readonly scope: string | undefined
  readonly failOn: string | undefined
  readonly administrativePermission: string | undefined
  readonly write: boolean
  readonly print: (line: string) => void
}

interface Command {
  /** How many arguments it takes, at least and at most. */
  readonly takes: readonly [number, number]
  /** The options that mean something to it, beside those that name the database. */
  readonly options?: readonly string[]
  /** Resolves to whether there was a finding. */
  run(request: Request, first: string, second: string): Promise<boolean>
}

const commands: Readonly<Record<string, Command>> = {
  check: {
    takes: [1, 1],
    run: async ({ print }, policy) => {
      const found = findingsOf(policyOf(await readSource(policy)))
      return printAll(print, found, 'nothing found')
    },
  },
  test: {
    takes: [2, 2],
    run: async ({ print }, policy, cases) => {
      const { count, failures } = runCases(compiled(await readPolicy(policy))!, await readSource(cases))
      for (const failure of failures) print(failure)
      print(`${count} cases, ${failures.length} failed`)
      return failures.length > 0
    },
  },
  diff: {
    takes: [1, 2],
    options: ['fail-on'],
    run: async ({ print, target, failOn }, first, second) => {
      if (failOn !== undefined && failOn !== 'gain' && failOn !== 'loss' && failOn !== 'any') {
        throw new InputError(['--fail-on: expected gain, loss or any'])
      }
      const after = await readPolicy(second || first)
      const before = second === '' ? await withDatabase(target, storedPolicy) : await readPolicy(first)
      const diff = diffPolicies(before, after)
      printAll(print, diffLines(diff), 'no difference')
      return failOn !== undefined && changesOf(diff)[failOn]
    },
  },
  explain: {
    takes: [2, 2],
    options: ['scope', 'administrative-permission'],
    run: async ({ print, target, scope, administrativePermission }, user, permission) => {
      const asked = { users: target.users, permission, scope, administrativePermission }
      const { allowed, lines } = await withDatabase(target, knex => explainUser(knex, user, asked))
      for (const line of lines) print(line)
      return !allowed
    },
  },
  'who-can': {
    takes: [1, 1],
    options: ['scope'],
    run: async ({ print, target, scope }, permission) => {
      const asked = { users: target.users, permission, scope }
      printAll(print, await withDatabase(target, knex => whoCan(knex, asked)), 'nobody')
      return false
    },
  },
  drift: {
    takes: [1, 1],
    run: async ({ print, target }, policy) => {
      const file = await readPolicy(policy)
      return printAll(print, await withDatabase(target, knex => driftLines(knex, file)), 'no drift')
    },
  },
  export: {
    takes: [0, 0],
    run: async ({ print, target }) => {
      print((await policyYaml(await withDatabase(target, storedPolicy))).trimEnd())
      return false
    },
  },
  apply: {
    takes: [1, 1],
    options: ['yes'],
    run: async ({ print, target, write }, policy) => {
      const file = await readPolicy(policy)
      const lines = await withDatabase(target, knex => applyPolicy(knex, file, { users: target.users, write }))
      for (const line of lines) print(line)
      print(write ? 'written' : 'nothing was written; --yes writes it')
      return false
    },
  },
}

/** Runs one command and gives the exit code: 0 fine, 1 a finding, 2 an error in what was given. */
export async function runCommand(argv: readonly string[], { env, print, printError }: Surroundings): Promise<number> {
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options: optionTypes, allowPositionals: true })
    if (values.help === true) {
      print(usage)
      return 0
    }
    const [name = '', ...rest] = positionals
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (command === undefined) throw new InputError([name === '' ? usage : `there is no command ${name}; see --help`])
    const [least, most] = command.takes
    if (rest.length < least || rest.length > most) {
      const expected = least === most ? String(least) : `${least} or ${most}`
      throw new InputError([`arguments of ${name}: expected ${expected}, got ${rest.length}; see --help`])
    }
    for (const option of ['scope', 'fail-on', 'administrative-permission', 'yes'] as const) {
      if (values[option] !== undefined && !command.options?.includes(option)) {
        throw new InputError([`${name} has no option --${option}; see --help`])
      }
    }
    const request = {
      target: { url: values.database ?? env.DATABASE_URL, users: usersOf(values) },
      scope: values.scope,
      failOn: values['fail-on'],
      administrativePermission: values['administrative-permission'],
      write: values.yes === true,
      print,
    }
    return (await command.run(request, rest[0] ?? '', rest[1] ?? '')) ? 1 : 0
  } catch (error) {
    const lines = linesOf(error)
    if (lines === undefined) throw error
    for (const line of lines) printError(line)
    return 2
  }
}

function usersOf(values: Readonly<Record<string, string | boolean | undefined>>): UsersTable {
  const column = (option: string): string | false | undefined => {
    const value = values[option]
    return value === '' ? false : (value as string | undefined)
  }
  return {
    table: String(values['users-table']),
    id: column('users-id') || undefined,
    isActive: column('users-active'),
    isSuperuser: column('users-superuser'),
  }
}

function printAll(print: (line: string) => void, lines: readonly string[], without: string): boolean {
  for (const line of lines) print(line)
  if (lines.length === 0) print(without)
  return lines.length > 0
}

/** The message of an error that is the caller's to mend; undefined for one of ours. */
function linesOf(error: unknown): readonly string[] | undefined {
  if (error instanceof InputError) return error.lines
  if (RbacError.isInstance(error)) return [`${error.code}: ${error.message}`]
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code.startsWith('ERR_PARSE_ARGS') ? [(error as Error).message, 'see --help'] : undefined
}
