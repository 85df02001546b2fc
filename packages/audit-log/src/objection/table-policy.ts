import { AuditOptionError } from '../errors.ts'
import { isSecretName } from '../processing/secret-name.ts'

/** What the trigger of a table records of it. Columns are named as in the database. */
export interface TablePolicy {
  /** The resource's type in the log and the first part of its actions. @defaultValue the table's name */
  readonly resourceType?: string | undefined
  /** The columns to record; all others are left out. @defaultValue all columns, also those added later */
  readonly include?: readonly string[] | undefined
  /** Columns to leave out; a change of nothing else is not recorded. */
  readonly exclude?: readonly string[] | undefined
  /** Columns whose change is recorded and whose values are not, besides those with a secret's name. */
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

/** Returns the arguments of the table's trigger, in the order that the trigger reads them. */
export function triggerArguments(policy: TablePolicy, table: TableFacts): string[] {
  const {
    include = [],
    exclude = [],
    mask = [],
    reveal = [],
    key = table.primaryKey,
    repr,
    softDelete,
    ends = {},
  } = policy
  for (const [option, names] of Object.entries({ include, exclude, mask, reveal, key, ends: Object.values(ends) })) {
    for (const name of names) known(table, option, name)
  }
  if (repr !== undefined) known(table, 'repr', repr)
  if (softDelete !== undefined) known(table, 'softDelete', softDelete)

  const hidden = table.columns.filter(name => mask.includes(name) || (isSecretName(name) && !reveal.includes(name)))
  const contradiction = mask.find(name => reveal.includes(name))
  if (contradiction !== undefined) throw new AuditOptionError('mask', `free of ${contradiction}, which reveal names`)
  if (repr !== undefined && hidden.includes(repr)) {
    throw new AuditOptionError('repr', `a column that is not masked, and ${repr} is`)
  }
  const resource = policy.resourceType ?? table.name
  for (const [option, name] of [['resourceType', resource], ...Object.keys(ends).map(end => ['ends', end])] as const) {
    if (name === '' || name.length > longestType)
      throw new AuditOptionError(option, `a name of 1 to ${longestType} characters`)
  }
  return [
    resource,
    arrayLiteral(key),
    arrayLiteral(include),
    arrayLiteral(exclude),
    arrayLiteral(hidden),
    arrayLiteral(table.scalarColumns.filter(name => !hidden.includes(name))),
    repr ?? '',
    softDelete ?? '',
    arrayLiteral(table.columns),
    arrayLiteral(Object.entries(ends).flat()),
  ]
}

// It must fit an index entry of the log beside the row's id.
const longestType = 100

function known(table: TableFacts, option: string, name: string): void {
  if (!table.columns.includes(name)) throw new AuditOptionError(option, `columns of ${table.name}; it has no ${name}`)
}

function arrayLiteral(names: readonly string[]): string {
  return `{${names.map(name => `"${name.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
