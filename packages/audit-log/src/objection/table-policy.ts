import { AuditOptionError } from '../errors.ts'
import { isSecretName } from '../processing/secret-name.ts'

/** What the trigger of a table records of it. Columns are named as in the database. */
export interface TablePolicy {
  /** The resource's type in the log and the first part of its actions. @defaultValue the table's name */
  readonly resourceType?: string | undefined
  /** The columns to record; all others are left out. @defaultValue all columns, also those added later */
  readonly include?: readonly string[] | undefined
  /**
   * Columns to leave out, and keys in json columns as `column.key.key`; a change of nothing else is not recorded.
   */
  readonly exclude?: readonly string[] | undefined
  /** Columns and keys whose change is recorded and whose values are not, besides those with a secret's name. */
  readonly mask?: readonly string[] | undefined
  /** Columns to show although their name sounds like a secret's. */
  readonly reveal?: readonly string[] | undefined
  /** The columns that identify a row. @defaultValue the primary key */
  readonly key?: readonly string[] | undefined
  /** The column whose text names a row for people. */
  readonly repr?: string | undefined
  /** The column (a time or a boolean) that marks a row as deleted; setting it is recorded as `soft_delete`. */
  readonly softDelete?: string | undefined
  /**
   * For a table that relates others, the type and the column of each end: `{ post: 'post_id', tag: 'tag_id' }`. Each end is
   * told of the relation as a change of its own, `relate` or `unrelate`.
   */
  readonly ends?: Readonly<Record<string, string>> | undefined
}

/** The table as it stands in the database when the trigger is made. */
export interface TableFacts {
  readonly name: string
  readonly columns: readonly string[]
  /** Those of a type that holds one value, and no names inside it. */
  readonly scalarColumns: readonly string[]
  readonly primaryKey: readonly string[]
}

// It must fit an index entry of the log beside the row's id.
const longestType = 100

/** Returns the arguments of the table's trigger, in the order that the trigger reads them. */
export function triggerArguments(policy: TablePolicy, table: TableFacts): string[] {
  const { resourceType = table.name, include = [], reveal = [], key = table.primaryKey } = policy
  const { repr = '', softDelete = '', ends = {} } = policy
  const exclude = divided(table, 'exclude', policy.exclude)
  const mask = divided(table, 'mask', policy.mask)
  known(table, 'include', include)
  known(table, 'reveal', reveal)
  known(table, 'key', key)
  known(table, 'repr', repr === '' ? [] : [repr])
  known(table, 'softDelete', softDelete === '' ? [] : [softDelete])
  known(table, 'ends', Object.values(ends))
  typeName('resourceType', resourceType)
  for (const end of Object.keys(ends)) typeName('ends', end)

  const hidden = table.columns.filter(
    name => mask.columns.includes(name) || (isSecretName(name) && !reveal.includes(name)),
  )
  const contradiction = mask.columns.find(name => reveal.includes(name))
  if (contradiction !== undefined) throw new AuditOptionError('mask', `free of ${contradiction}, which reveal names`)
  // What these name stands in the log in clear.
  shown('repr', repr === '' ? [] : [repr])
  shown('key', key)
  shown('ends', Object.values(ends))
  function shown(option: string, names: readonly string[]): void {
    const secret = names.find(name => hidden.includes(name) || !table.scalarColumns.includes(name))
    if (secret !== undefined)
      throw new AuditOptionError(option, `columns of one value that are not masked, and ${secret} is not such a one`)
  }
  return [
    resourceType,
    arrayLiteral(key),
    arrayLiteral(include),
    arrayLiteral(exclude.columns),
    arrayLiteral(hidden),
    arrayLiteral(table.scalarColumns.filter(name => !hidden.includes(name))),
    repr,
    softDelete,
    arrayLiteral(table.columns),
    arrayLiteral(Object.entries(ends).flat()),
    arrayLiteral(exclude.paths.map(arrayLiteral)),
    arrayLiteral(mask.paths.map(arrayLiteral)),
  ]
}

interface Divided {
  readonly columns: readonly string[]
  readonly paths: readonly (readonly string[])[]
}

/** A name that is no column is a path, if it begins with a column that can hold keys. */
function divided(table: TableFacts, option: string, names: readonly string[] = []): Divided {
  const isColumn = (name: string) => table.columns.includes(name)
  const paths = names.filter(name => !isColumn(name)).map(name => name.split('.'))
  for (const [column = '', ...keys] of paths) {
    known(table, option, [column])
    if (keys.length === 0 || keys.includes('') || table.scalarColumns.includes(column)) {
      throw new AuditOptionError(option, `columns, or keys of a json column as column.key; ${column} is none`)
    }
  }
  return { columns: names.filter(isColumn), paths }
}

function known(table: TableFacts, option: string, names: readonly string[]): void {
  for (const name of names) {
    if (!table.columns.includes(name)) throw new AuditOptionError(option, `columns of ${table.name}; it has no ${name}`)
  }
}

function typeName(option: string, name: string): void {
  if (name === '' || name.length > longestType) {
    throw new AuditOptionError(option, `a name of 1 to ${longestType} characters`)
  }
}

function arrayLiteral(names: readonly string[]): string {
  return `{${names.map(name => `"${name.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
