import type { Knex } from 'knex'
import type { GrantName } from '../catalog.ts'
import { RoleCycleError, UnknownPermissionError } from '../errors.ts'
import type { GrantVersion } from '../grant-store.ts'
import { roleGraph } from '../role-graph.ts'
import { checkName, checkText, isStorable } from './check-text.ts'
import { RoleChangedError, RoleExistsError, SystemRoleError } from './errors.ts'
import { grantorOf, type Grantors, type RefuseUnheld } from './grantors.ts'
import { refuseViolations } from './separation.ts'
import { findRole, findRoles, type StoredRole } from './stored-role.ts'
import { write, type TransactionOptions } from './write.ts'

/** What `createRole` makes. */
export interface NewRole<Permission extends string = string> {
  readonly name: string
  readonly description?: string | undefined
  readonly permissions: readonly GrantName<Permission>[]
  readonly inherits?: readonly string[] | undefined
  /** A system role can be neither deleted, renamed nor deactivated. @defaultValue `false` */
  readonly isSystem?: boolean | undefined
}

/** The options of a write that widens a role. */
export interface GrantOptions extends TransactionOptions {
  /**
   * The user on whose behalf it is done, who must hold what is granted, and for at least as long; without one nothing is
   * checked.
   */
  readonly grantedBy?: string | undefined
}

/** The options of a write that changes a role. */
export interface RoleChangeOptions extends GrantOptions {
  /** The role's `updatedAt` as it was read; the write fails with `ROLE_CHANGED` when somebody changed it since. */
  readonly ifUpdatedAt?: Date | undefined
}

export interface RoleWrites<Permission extends string> {
  /** Creates a role. Throws `ROLE_EXISTS`, `UNKNOWN_PERMISSION`, `UNKNOWN_ROLE`, `GRANT_NOT_HELD`. */
  createRole(role: NewRole<Permission>, options?: GrantOptions): Promise<GrantVersion>
  /** Renames a role; its assignments stay. Throws `ROLE_EXISTS`, `SYSTEM_ROLE`. */
  renameRole(role: string, name: string, options?: RoleChangeOptions): Promise<GrantVersion>
  /** Replaces a role's description. */
  describeRole(role: string, description: string, options?: RoleChangeOptions): Promise<GrantVersion>
  /** Deletes a role with its assignments. Throws `SYSTEM_ROLE`. */
  deleteRole(role: string, options?: RoleChangeOptions): Promise<GrantVersion>
  /** Copies a role's description, permissions and inherited roles, but no assignment. */
  cloneRole(role: string, name: string, options?: GrantOptions): Promise<GrantVersion>
  /** Adds permissions or wildcards to a role; one it has already is no error. Throws `UNKNOWN_PERMISSION`. */
  grant(role: string, permissions: readonly GrantName<Permission>[], options?: RoleChangeOptions): Promise<GrantVersion>
  /** Takes permissions or wildcards from a role, exactly as they were granted. */
  revoke(
    role: string,
    permissions: readonly GrantName<Permission>[],
    options?: RoleChangeOptions,
  ): Promise<GrantVersion>
  /**
   * Makes a role inherit exactly these roles. Throws `ROLE_CYCLE` with the path, and `SEPARATION_OF_DUTY` if a user
   * who has the role would then hold too much.
   */
  setInherits(role: string, inherits: readonly string[], options?: RoleChangeOptions): Promise<GrantVersion>
  /** Lets a role grant again. Throws `GRANT_NOT_HELD`. */
  activateRole(role: string, options?: RoleChangeOptions): Promise<GrantVersion>
  /** Makes a role grant nothing and pass nothing on. Throws `SYSTEM_ROLE`. */
  deactivateRole(role: string, options?: RoleChangeOptions): Promise<GrantVersion>
}

export function roleWrites<Permission extends string>(knex: Knex, grantors: Grantors): RoleWrites<Permission> {
  /** Runs a change of one role that exists and is as the caller saw it. */
  const change = (
    name: string,
    options: RoleChangeOptions | undefined,
    work: (transaction: Knex.Transaction, role: StoredRole, refuseUnheld: RefuseUnheld) => Promise<unknown>,
  ): Promise<GrantVersion> =>
    write(knex, options, async transaction => {
      const role = await findRole(transaction, name)
      const expected = options?.ifUpdatedAt
      if (expected && expected.getTime() !== role.updated_at.getTime()) {
        throw new RoleChangedError(name, role.updated_at)
      }
      await work(transaction, role, await grantorOf(transaction, grantors, options?.grantedBy))
      // Later than before even within one millisecond, or the next reader could not tell.
      await transaction.raw(
        `update roles set updated_at = greatest(clock_timestamp(), updated_at + interval '1 millisecond') where id = ?`,
        [role.id],
      )
    })

  return {
    createRole: (role, options) =>
      write(knex, options, async transaction => {
        const refuseUnheld = await grantorOf(transaction, grantors, options?.grantedBy)
        const id = await insertRole(transaction, role)
        await addPermissions(transaction, id, role.permissions)
        await addInherited(transaction, id, role.inherits ?? [])
        await refuseUnheld(id)
      }),

    renameRole: (role, name, options) =>
      change(role, options, async (transaction, { id, is_system }) => {
        if (is_system) throw new SystemRoleError(role)
        await refuseTakenName(transaction, name)
        await transaction('roles').where({ id }).update({ name })
      }),

    describeRole: (role, description, options) =>
      change(role, options, (transaction, { id }) => {
        checkText('role.description', description)
        return transaction('roles').where({ id }).update({ description })
      }),

    deleteRole: (role, options) =>
      change(role, options, async (transaction, { id, is_system }) => {
        if (is_system) throw new SystemRoleError(role)
        await transaction('roles').where({ id }).delete()
      }),

    cloneRole: (role, name, options) =>
      write(knex, options, async transaction => {
        const refuseUnheld = await grantorOf(transaction, grantors, options?.grantedBy)
        const { id: source, description } = await findRole(transaction, role)
        const id = await insertRole(transaction, { name, description })
        await transaction.raw(
          'insert into role_permissions select ?, permission_id from role_permissions where role_id = ?',
          [id, source],
        )
        await transaction.raw(
          'insert into role_inherits select ?, inherited_role_id from role_inherits where role_id = ?',
          [id, source],
        )
        await refuseUnheld(id)
      }),

    grant: (role, permissions, options) =>
      change(role, options, async (transaction, { id }, refuseUnheld) => {
        await addPermissions(transaction, id, permissions)
        await refuseUnheld(id)
      }),

    revoke: (role, permissions, options) =>
      change(role, options, async (transaction, { id }) => {
        const ids = await permissionIds(transaction, permissions)
        await transaction('role_permissions').where('role_id', id).whereIn('permission_id', ids).delete()
      }),

    setInherits: (role, inherits, options) =>
      change(role, options, async (transaction, { id }, refuseUnheld) => {
        await transaction('role_inherits').where('role_id', id).delete()
        await addInherited(transaction, id, inherits)
        await refuseCycles(transaction)
        await refuseViolations(transaction)
        await refuseUnheld(id)
      }),

    activateRole: (role, options) =>
      change(role, options, async (transaction, { id }, refuseUnheld) => {
        await transaction('roles').where({ id }).update({ is_active: true })
        await refuseUnheld(id)
      }),

    deactivateRole: (role, options) =>
      change(role, options, async (transaction, { id, is_system }) => {
        if (is_system) throw new SystemRoleError(role)
        await transaction('roles').where({ id }).update({ is_active: false })
      }),
  }
}

async function insertRole(
  transaction: Knex,
  role: Pick<NewRole, 'name' | 'description' | 'isSystem'>,
): Promise<string> {
  await refuseTakenName(transaction, role.name)
  checkText('role.description', role.description)
  const [row] = await transaction('roles')
    .insert({ name: role.name, description: role.description ?? '', is_system: role.isSystem ?? false })
    .returning<{ id: string }[]>('id')
  return (row as { id: string }).id
}

async function refuseTakenName(transaction: Knex, name: string): Promise<void> {
  checkName('role.name', name)
  if (await transaction('roles').where({ name }).first('id')) throw new RoleExistsError(name)
}

async function permissionIds(transaction: Knex, names: readonly string[]): Promise<string[]> {
  const rows = await transaction('permissions')
    .whereIn('name', names.filter(isStorable))
    .select<{ id: string; name: string }[]>('id', 'name')
  const known = new Set(rows.map(row => row.name))
  for (const name of names) if (!known.has(name)) throw new UnknownPermissionError(name)
  return rows.map(row => row.id)
}

async function addPermissions(transaction: Knex, role_id: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const rows = (await permissionIds(transaction, names)).map(permission_id => ({ role_id, permission_id }))
  await transaction('role_permissions').insert(rows).onConflict().ignore()
}

async function addInherited(transaction: Knex, role_id: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const inherited = await findRoles(transaction, names, 'inherits')
  for (const { id, name } of inherited) if (id === role_id) throw new RoleCycleError([name, name])
  await transaction('role_inherits').insert(inherited.map(({ id }) => ({ role_id, inherited_role_id: id })))
}

async function refuseCycles(transaction: Knex): Promise<void> {
  const { rows } = await transaction.raw<{ rows: { name: string; inherits: string[] }[] }>(
    `select r.name, array_remove(array_agg(i.name), null) as inherits
     from roles r left join role_inherits e on e.role_id = r.id left join roles i on i.id = e.inherited_role_id
     group by r.id`,
  )
  roleGraph(
    rows.map(row => ({ ...row, permissions: [], isActive: true })),
    { strict: true },
  )
}
